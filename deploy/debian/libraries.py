#!/usr/bin/python3
"""Names what environments hold: each library once, with its version and license.

libraries.py FOLDER …
"""

import sys
from email.parser import HeaderParser
from pathlib import Path

found = set()
for folder in map(Path, sys.argv[1:]):
    for path in folder.glob("lib/python*/site-packages/*.dist-info/METADATA"):
        head = HeaderParser().parsestr(path.read_text(encoding="utf-8"))
        licenses = [one.rpartition(":: ")[2] for one in head.get_all("Classifier", ()) if one.startswith("License ::")]
        license_ = head["License-Expression"] or ", ".join(licenses) or (head["License"] or "see there").splitlines()[0]
        found.add(f"{head['Name']} {head['Version']}: {license_}")
print(*sorted(found, key=str.lower), sep="\n")
