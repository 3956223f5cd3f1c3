// The server as the page talks to it. Every answer is sorted into: ok, retry (later it may work), auth (log in first),
// refused (it will not work, and somebody has to read why).

const PATIENCE_MS = 15000;

/** What an HTTP answer means. `body` is its JSON, or null where it was none. */
export function sortAnswer(status, body, retryAfter) {
  const error = body?.error ?? { code: `http_${status}`, message: `The server answered ${status}.`, fields: {} };
  if (status >= 200 && status < 300) {
    // A hotel's log-in page also says 200: only JSON is an answer of ours.
    return body === null ? { kind: "retry", why: "not our server" } : { kind: "ok", body };
  }
  if (status === 401 || (status === 403 && /csrf|credentials/i.test(`${error.code} ${error.message}`))) return { kind: "auth", error };
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const seconds = Number(retryAfter);
    return seconds > 0 ? { kind: "retry", why: error.message, afterMs: seconds * 1000 } : { kind: "retry", why: error.message };
  }
  if (status >= 300 && status < 400) return { kind: "retry", why: "redirected" };
  return { kind: "refused", error: { ...error, status } };
}

/** fetch: like window.fetch. csrf(): the current token. root: e.g. "/api/v1/". project: its slug. */
export function createApi({ fetch, root, project, csrf }) {
  async function call(method, path, body, { keepalive = false } = {}) {
    const gone = new AbortController();
    const timer = setTimeout(() => gone.abort(), PATIENCE_MS);
    try {
      const response = await fetch(root + path, {
        method,
        keepalive,
        credentials: "same-origin",
        signal: keepalive ? undefined : gone.signal,
        headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": csrf() },
        body: method === "GET" ? undefined : JSON.stringify(body ?? {}),
      });
      const json = await response.json().catch(() => null);
      return sortAnswer(response.status, json, response.headers.get("Retry-After"));
    } catch (error) {
      return { kind: "retry", why: String(error) };
    } finally {
      clearTimeout(timer);
    }
  }

  async function undo(op, done) {
    let annotation = op.annotation ?? done(op.of)?.annotation?.id;
    if (!annotation) {
      // Another tab sent it, or the storage was full: the server's history knows it by its assignment.
      const history = await call("GET", `projects/${op.project}/history/?n=100`);
      if (history.kind !== "ok") return history;
      annotation = history.body.annotations.find((one) => one.assignment === op.assignment)?.id;
      if (!annotation) return { kind: "ok", body: {} }; // it never arrived: nothing to take back
    }
    return call("POST", `annotations/${annotation}/undo/`);
  }

  return {
    next: (n, resume) => call("POST", `projects/${project}/next/`, { n, resume }),
    history: (n) => call("GET", `projects/${project}/history/?n=${n}`),
    progress: () => call("GET", `projects/${project}/progress/`),
    renew: (assignment) => call("POST", `assignments/${assignment}/renew/`),
    // Survives the page: sendBeacon could not carry the CSRF header.
    release: (assignment) => call("POST", `assignments/${assignment}/release/`, {}, { keepalive: true }),
    /** Sends one act of the outbox. */
    send: (op, done) =>
      op.type === "undo" ? undo(op, done) : call("POST", `assignments/${op.assignment}/${op.type}/`, op.body),
  };
}
