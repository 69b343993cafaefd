"""Draw exiftool's listing of a result as a picture.

`python experiments/colorize/exiftool.py` (with Debian's libimage-exiftool-perl) describes a
photograph of the sample as an archive would, colorizes it, and draws what exiftool lists for the
result in exiftool.png beside this file.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

from irodori.config import PROJECT

PHOTO = PROJECT / "data/sample/historical/castle_clinton.jpg"
TERM = "http://cv.iptc.org/newscodes/digitalsourcetype/negativeFilm"
SAID = (
    "-codedcharacterset=utf8",
    "-IPTC:Caption-Abstract=Castle Clinton in Battery Park, from the air",
    "-IPTC:Keywords=New York",
    "-IPTC:DateCreated=1961:01:01",
    "-IPTC:CopyrightNotice=Public domain",
    "-IFD0:Artist=Jack E. Boucher, National Park Service",
    "-IFD0:XResolution=600",
    "-IFD0:YResolution=600",
    "-IFD0:ResolutionUnit=inches",
    "-ExifIFD:DateTimeOriginal=1961:01:01 12:00:00",
    f"-XMP-iptcExt:DigitalSourceType={TERM}",
    "-XMP-xmpMM:DocumentID=xmp.did:1234",
    "-XMP-xmpMM:InstanceID=xmp.iid:5678",
    "-File:Comment=Scanned in 1998, box 12",
)
LISTED = ("-IPTC:All", "-Comment", "-EXIF:All", "-XMP:All")
COLUMNS = 118


def main() -> None:
    """Describe, colorize, list, draw."""
    with tempfile.TemporaryDirectory() as folder:
        photo, result = Path(folder, "photo.jpg"), Path(folder, "colorized.jpg")
        subprocess.run(["exiftool", "-q", *SAID, "-o", photo, PHOTO], check=True)
        irodori = [sys.executable, "-c", "from irodori.cli.app import app; app()"]
        subprocess.run([*irodori, "colorize", photo, "--output", result], check=True)
        command = ["exiftool", "-a", "-G1", *LISTED, result.name]
        listing = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    lines = [f"$ exiftool -a -G1 {result.name}"]
    for line in listing.stdout.splitlines():
        head = line.index(":") + 2
        lines.append(line[:COLUMNS])
        rest = line[COLUMNS:]
        while rest:
            lines.append(" " * head + rest[: COLUMNS - head])
            rest = rest[COLUMNS - head :]
    font = ImageFont.truetype(findfont("DejaVu Sans Mono"), 15)
    width, height = int(font.getlength("0" * COLUMNS)) + 40, 21 * len(lines) + 40
    picture = Image.new("L", (width, height), 250)
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        draw.text((20, 20 + 21 * number), line, 20, font)
    picture.quantize(16).save(Path(__file__).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
