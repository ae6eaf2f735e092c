// States made before version 0.2 call this when something is removed.
process.argv.splice(2, 0, "canary");
await import("../on-host.mjs");
