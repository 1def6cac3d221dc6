#!/bin/sh
# What the old image's users type: sh backup.sh
exec agent backup "$@"
