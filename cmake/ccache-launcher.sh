#!/bin/sh
# Compiler launcher: runs the compiler through ccache with settings that share the cache between
# build folders and clones, and that cache both sides of a precompiled header.
# Usage: ccache-launcher.sh SOURCE_DIR COMPILER ARGS...
CCACHE_BASEDIR="$1"
shift
CCACHE_NOHASHDIR=1
CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
CCACHE_MAXSIZE="${CCACHE_MAXSIZE:-20G}"
export CCACHE_BASEDIR CCACHE_NOHASHDIR CCACHE_SLOPPINESS CCACHE_MAXSIZE
exec ccache "$@"
