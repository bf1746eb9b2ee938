#!/bin/sh
# Compiler launcher: checks a source with all warnings and writes an empty object file, so that the build tool knows it was checked.
# Generated sources are not ours to check.
# Usage: syntax-only-launcher.sh COMPILER ARGS... -o OBJECT ... -c SOURCE
case "$*" in
  *.pb.cc) ;;
  *) "$@" -fsyntax-only || exit ;;
esac
while [ "$#" -gt 1 ]; do
  if [ "$1" = -o ]; then
    : >"$2"
    exit
  fi
  shift
done
