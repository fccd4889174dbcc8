#!/usr/bin/env bash
# Fails when a generated file is not what its sources give. The files are
# generated in place, compared with how they were before, and put back, so that
# it works in any tree, with or without uncommitted changes.
set -euo pipefail
cd "$(dirname "$0")/.."

generated=(api/v1alpha1/zz_generated.deepcopy.go config/crd/bases config/rbac/role.yaml config/apiserver/role.yaml docs/reference docs/openapi.yaml)

saved=$(mktemp -d)
restore() {
    for path in "${generated[@]}"; do
        rm -rf "$path"
        if [ -e "$saved/before/$path" ]; then
            mkdir -p "$(dirname "$path")"
            cp -a "$saved/before/$path" "$path"
        fi
    done
    rm -rf "$saved"
}
keep() {
    for path in "${generated[@]}"; do
        mkdir -p "$saved/$1/$(dirname "$path")"
        if [ -e "$path" ]; then
            cp -a "$path" "$saved/$1/$path"
        fi
    done
}

keep before
trap restore EXIT
"${MAKE:-make}" --no-print-directory generate
keep after
if ! diff -ruN "$saved/before" "$saved/after"; then
    echo "generated files are out of date (- as they are, + as they must be): run 'make generate' and commit the result" >&2
    exit 1
fi
