import type { ResourceRule } from "../rule";
import { at, shown, unknown } from "../values";

/** Without a key to compare with, the command provider takes whoever answers for the machine. */
export const hostKeys: ResourceRule = {
    name: "host-keys",
    description: "Every SSH connection pins the host key of the machine, and of the proxy on the way to it.",
    types: ["Command", "CopyFile", "CopyToRemote"].map((one) => `command:remote:${one}`),
    check({ name, props }, judge) {
        const proxy = at(props, "connection", "proxy");
        const paths = [["connection"], ...(proxy === undefined || proxy === null ? [] : [["connection", "proxy"]])];
        for (const path of paths.map((one) => [...one, "hostKey"])) {
            const key = at(props, ...path);
            if (key === unknown) {
                judge.undecided(name);
            } else if (typeof key !== "string" || key.trim() === "") {
                judge.violation(
                    `${path.join(".")} is ${shown(key)}; allowed: the machine's public host key, such as ` +
                        "ssh-ed25519 AAAA... (npm run scan-host-keys collects them)",
                );
            }
        }
    },
};
