#!/bin/sh
# Copied by `make install` into the environment's bin/, as `histopair`: runs the commands of the checkout
# that contains the environment. A link to it may be anywhere.
self=$0
[ -L "$self" ] && self=$(readlink -f "$self")
bin=$(dirname "$self")
exec "$bin/python" "$(cd "$bin/../.." && pwd)/workflow/commands" "$@"
