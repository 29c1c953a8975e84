#!/bin/sh
# Prints the path of a Python that is new enough; says how to get one where there is none.
for name in "${PYTHON:-}" python3.11 python3.12 python3.13 python3.14 python3; do
    [ -n "$name" ] || continue
    if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (4, 0))' 2>/dev/null; then
        command -v "$name"
        exit 0
    fi
done
echo "mesoclinic needs Python 3.11 or newer, and none was found. On Debian or Ubuntu: apt-get install -y python3 python3-venv" >&2
exit 1
