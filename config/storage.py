from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFiles(CompressedManifestStaticFilesStorage):
    """Static files named by their content, the imports between ES modules included.

    The rewriting knows only imports that end with a semicolon, and modules must not import each other in a circle.
    """

    support_js_module_import_aggregation = True
