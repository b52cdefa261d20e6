#!/bin/sh
# Copied by `make install` into the environment's bin/, as `histopair`: runs the commands of the checkout
# that the environment lies in. A link to it may stand anywhere.
self=$0
[ -L "$self" ] && self=$(readlink -f "$self")
bin=$(dirname "$self")
exec "$bin/python" "$(cd "$bin/../.." && pwd)/workflow/commands" "$@"
