"""How static files are found, collected and named."""

from collections.abc import Iterable
from typing import Any

from django.contrib.staticfiles.finders import AppDirectoriesFinder
from whitenoise.compress import Compressor
from whitenoise.storage import CompressedManifestStaticFilesStorage


class ServedAppsFinder(AppDirectoriesFinder):
    """The files of those packages whose pages are served: the others' would be hashed and packed for nobody."""

    _SERVED = ("django.contrib.admin", "drf_spectacular_sidecar")
    _UNUSED = ["*/redoc/*", "redoc"]

    def __init__(self, app_names: Iterable[str] | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(app_names or self._SERVED, *args, **kwargs)

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterable[Any]:
        return super().list([*(ignore_patterns or []), *self._UNUSED])


class HashedStaticFiles(CompressedManifestStaticFilesStorage):
    """Static files named by their content, the imports between ES modules included.

    The rewriting knows only imports that end with a semicolon, and modules must not import each other in a circle.
    """

    support_js_module_import_aggregation = True

    keep_only_hashed_files = True

    def create_compressor(self, **kwargs: Any) -> Compressor:
        # Brotli at its best level takes seconds of the first start; maps are for developers' tools.
        kwargs["extensions"] = (*Compressor.SKIP_COMPRESS_EXTENSIONS, "map")
        return Compressor(**kwargs | {"use_brotli": False})
