// Gives the precompiled header of LibTorch's users a target to be built in.
