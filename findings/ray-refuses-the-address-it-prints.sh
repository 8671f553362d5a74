#!/bin/sh
# A user of Ray has once called `ray.init()`, and now starts a cluster on this machine by `ray start --head`. Guess: a
# script of theirs connects by ray.init(address="auto") and by ray.init(address="HOST:PORT"), as one is short for the
# other.
# It does by "auto". By the address there is a ConnectionError after about 20 s: `ray.init()` has left a token in ~/.ray,
# which the head then asks for, and which Ray sends for "auto" alone. With RAY_AUTH_MODE=token it connects.
# Usage: sh findings/ray-refuses-the-address-it-prints.sh; it installs what it pins in a temporary folder, which is HOME
# too, starts a cluster on port 6390 and ends it, and fails if that changed.
set -eu
place=$(mktemp -d /tmp/ray-XXXXXX)
head=
trap '[ -z "$head" ] || { kill "$head"; wait "$head" || true; }; rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q ray==2.60.0
cd "$place"
export HOME="$place" RAY_USAGE_STATS_ENABLED=0 PYTHONWARNINGS=ignore
unset RAY_AUTH_MODE RAY_AUTH_TOKEN RAY_AUTH_TOKEN_PATH RAY_ADDRESS
SMALL="object_store_memory=100 * 2**20, include_dashboard=False, num_cpus=1, log_to_driver=False"
"$place/venv/bin/python" -c "import ray; ray.init(address='local', $SMALL)" 2> earlier.log
"$place/venv/bin/ray" start --head --block --port 6390 --num-cpus 1 --object-store-memory 100000000 \
    --include-dashboard false --temp-dir "$place/r" > head.log 2>&1 &
head=$!
until grep -q "Ray runtime started" head.log; do kill -0 "$head"; sleep 1; done
address=$(sed -n "s/.*ray start --address='\(.*\)'.*/\1/p" head.log)
cat > connect.py <<'PYTHON'
import sys

import ray

try:
    ray.init(address=sys.argv[1], log_to_driver=False)
    print("connects to", ray.get_runtime_context().gcs_address)
except ConnectionError as error:
    print(f"{type(error).__name__}: {error}")
PYTHON
connect() { "$place/venv/bin/python" connect.py "$1" 2> /dev/null; }
auto=$(connect auto)
spelled=$(connect "$address")
token=$(RAY_AUTH_MODE=token connect "$address")
echo "address=\"auto\": $auto"
echo "address=\"$address\": $spelled"
echo "address=\"$address\", RAY_AUTH_MODE=token: $token"
[ "$auto" = "connects to $address" ] && [ "$token" = "connects to $address" ] &&
    [ "$spelled" = "ConnectionError: Failed to connect to Ray cluster at $address" ] ||
    { echo "Ray changed: this finding is out of date"; exit 1; }
