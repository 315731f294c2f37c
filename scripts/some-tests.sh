#!/bin/sh
# Run pytest and take "no test was selected" (status 5) for a success.
status=0
"$@" || status=$?
[ "$status" -eq 5 ] && exit 0
exit "$status"
