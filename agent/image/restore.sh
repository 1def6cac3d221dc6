#!/bin/sh
# What the old image's users type: sh restore.sh [TIMESTAMP]
exec agent restore "$@"
