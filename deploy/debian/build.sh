#!/bin/sh
# Builds the Debian packages into dist/, of the sdist and the wheel that `make dist` left there: for the release of
# Debian or Ubuntu that it runs on, whose Python the packages then need.
#     deploy/debian/build.sh PYTHON      one with pip, and with what deploy/command_files.py needs
set -eu

tree=$(cd "$(dirname "$0")/../.." && pwd)
python=$tree/$1
cd "$tree"
version=$("$python" -c 'import exporter; print(exporter.__version__)')
# shellcheck source=/dev/null
release=$(. /etc/os-release && printf '%s' "$ID$VERSION_ID" | sed 's/^debian/deb/')
source=$tree/build/debian/mi300x-exporter-$version

rm -rf build/debian
mkdir -p build/debian
tar --extract --file "dist/mi300x_exporter-$version.tar.gz" --directory build/debian
mv "build/debian/mi300x_exporter-$version" "$source"
cp -R deploy/debian "$source/debian"
"$python" -m deploy.command_files "$source/debian/command"
cat >"$source/debian/changelog" <<END
mi300x-exporter ($version-1+$release) stable; urgency=medium

  * Version $version: changelog.gz tells what is new.

 -- $(sed -n 's/^Maintainer: //p' deploy/debian/control)  $(date --utc --rfc-email --date "@$SOURCE_DATE_EPOCH")
END

cd "$source"
PIP="$python -m pip" WHEEL="$tree/dist/mi300x_exporter-$version-py3-none-any.whl" \
    dpkg-buildpackage --build=binary --no-check-builddeps --no-sign --no-post-clean >../build.log 2>&1 || { cat ../build.log >&2; exit 1; }
mv ../*.deb "$tree/dist/"
rm -rf "$source"
