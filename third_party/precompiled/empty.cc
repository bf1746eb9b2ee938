// Gives each precompiled header a target to be built in.
