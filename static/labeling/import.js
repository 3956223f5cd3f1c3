// The drop zone: a file that is dropped or sent shows how much of it has arrived. Without this the plain form works.

const form = document.getElementById("upload");
const input = form.querySelector('input[type="file"]');
const zone = form.querySelector(".dropzone");
const button = form.querySelector("button");
const progress = document.getElementById("upload-progress");
const share = document.getElementById("upload-share");
const problem = document.getElementById("upload-problem");

function fail(message) {
  problem.querySelector("p").textContent = message;
  problem.hidden = false;
  progress.hidden = true;
  button.disabled = false;
}

function send(file) {
  const request = new XMLHttpRequest();
  const body = new FormData(form);
  body.set("file", file);
  problem.hidden = true;
  progress.hidden = false;
  button.disabled = true;
  document.getElementById("upload-name").textContent = file.name;
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) share.value = (100 * event.loaded) / event.total;
  });
  request.addEventListener("load", () => {
    const answer = request.response;
    if (request.status === 201 && answer?.location) window.location.assign(answer.location);
    else fail(answer?.error?.message ?? `The server answered ${request.status}. Nothing was imported; try again.`);
  });
  request.addEventListener("error", () => fail("The connection broke while the file was being sent. Send it again."));
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "application/json");
  request.responseType = "json";
  request.send(body);
}

for (const name of ["dragenter", "dragover"]) {
  zone.addEventListener(name, (event) => {
    event.preventDefault();
    zone.classList.add("is-over");
  });
}
zone.addEventListener("dragleave", () => zone.classList.remove("is-over"));
zone.addEventListener("drop", (event) => {
  event.preventDefault();
  zone.classList.remove("is-over");
  const file = event.dataTransfer.files[0];
  if (!file) return;
  input.files = event.dataTransfer.files;
  send(file);
});
form.addEventListener("submit", (event) => {
  const file = input.files[0];
  if (!file) return;
  event.preventDefault();
  send(file);
});
