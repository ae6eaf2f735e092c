const file = (name: string) => `gvisor/${name}.sh`;

/** What install.sh, inspect.sh and remove.sh of scripts/on-machine/gvisor/ share, in the order in which they are read. */
export const runtimeLibraries: readonly string[] = [
    ...["node", "containerd", "state", "programs", "programs-apt", "programs-archive", "configuration", "restart"],
].map(file);

/** What removes the runtime from a machine. */
export const runtimeRemoval: readonly string[] = [...runtimeLibraries, file("remove")];
