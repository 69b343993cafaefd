"""Kinds of files by their names: what is read, what it becomes, and what is known but not read."""

WRITTEN = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".bmp": "BMP",
}
"""Suffixes of results and their formats; the first of each format is the one that is chosen."""

READ = {
    **WRITTEN,
    **dict.fromkeys((".mpo", ".heic", ".heif", ".hif", ".avif"), "JPEG"),
    **dict.fromkeys((".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc"), "TIFF"),
    **dict.fromkeys((".jxl", ".gif", ".pbm", ".pgm", ".ppm", ".pnm", ".dib"), "PNG"),
}
"""Suffixes of photos that are read, and the formats that their results are written in."""

_RAW = "camera raw: develop it (darktable, RawTherapee) and save it as TIFF or JPEG"
_DOCUMENT = "a document: take its pictures out (`pdfimages -all FILE page`)"
_VIDEO = "a video: take its frames out (`ffmpeg -i FILE frame-%05d.png`)"
_EDITOR = "an image editor's project: save it as TIFF or PNG there"

UNREAD = {
    **dict.fromkeys((".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2"), _RAW),
    **dict.fromkeys((".raf", ".orf", ".rw2", ".pef", ".srw", ".x3f", ".3fr", ".iiq", ".raw"), _RAW),
    **dict.fromkeys((".pdf", ".djvu", ".djv"), _DOCUMENT),
    **dict.fromkeys((".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mts"), _VIDEO),
    **dict.fromkeys((".psd", ".psb", ".xcf", ".kra", ".afphoto"), _EDITOR),
}
"""Suffixes of what is known by name but not read: what it is and what to do."""
