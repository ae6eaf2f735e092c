// Debian packages of the operator's machine.
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Failure } from "./failure.ts";
import { startTicks } from "./locks.ts";
import type { Progress, Say } from "./progress.ts";
import { readOr } from "./project.ts";
import { capture, lastLine, runLogged } from "./run.ts";

/** Packages by what needs them. The only list of Debian packages for the operator's machine. */
export const debianPackages = {
    /** Machines (systemd-container, iproute2, iptables), their base image and the mirror. */
    local: [
        "systemd-container",
        "mmdebstrap",
        "debian-archive-keyring",
        "apt-utils",
        "curl",
        "gnupg",
        "dpkg-dev",
        "iptables",
        "iproute2",
        "openssh-client",
        "xz-utils",
        "zstd",
    ],
    verify: ["shellcheck"],
    /** Tests start a real sshd of their own on a high port, look at the report in a browser, and have an authority. */
    test: ["openssh-server", "chromium", "fonts-dejavu-core", "openssl"],
    /** The matrix builds k0s, a part of which is C. */
    matrix: ["gcc", "libc6-dev"],
};

/** Those of `names` that are not installed. */
export async function missingPackages(names: readonly string[]): Promise<string[]> {
    if (names.length === 0) {
        return [];
    }
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholders are dpkg-query's
    const { code, stdout } = await capture("dpkg-query", ["-W", "-f", "${Package} ${db:Status-Status}\n", ...names]);
    if (code === 127) {
        throw new Failure("this host has no dpkg-query: local machines need a Debian or Ubuntu host.", {
            next: "use such a host, or `npm run preview`, which needs none",
        });
    }
    const lines = new Set(stdout.split("\n"));
    return names.filter((name) => !lines.has(`${name} installed`));
}

/** Installs Debian packages without a question, waiting for another apt run to end. */
export async function installDebian(missing: readonly string[], progress: Progress): Promise<void> {
    const list = missing.join(", ");
    if (process.getuid?.() !== 0) {
        throw new Failure(`Debian packages are missing on this host (${list}), and only root may install them.`, {
            next: `sudo apt-get install ${missing.join(" ")}  (or run this command as root)`,
        });
    }
    await progress.step(`Debian packages (${list})`, async (say) => {
        const apt = aptGet(list, say);
        await withoutLock(() => apt("update"));
        await withoutDaemons(() => apt("install", ["-y", "--no-install-recommends"], missing));
    });
    if (missing.includes("openssh-server") && existsSync("/run/systemd/system")) {
        const disable = ["disable", "ssh.service", "ssh.socket"];
        const { code, stderr } = await capture("systemctl", disable);
        if (code !== 0) {
            progress.note(
                `an sshd may start on this host: ${lastLine(stderr)}; unless you want one: systemctl ${disable.join(" ")}`,
            );
        }
    }
}

/** @returns a function that runs a command of apt-get; `list` is for its error */
function aptGet(list: string, say: Say) {
    return async (command: string, options: readonly string[] = [], packages: readonly string[] = []) => {
        const args = ["-q", ...options, "-oDPkg::Lock::Timeout=300", command, ...packages];
        await runLogged(`apt-${command}`, "apt-get", args, {
            say,
            env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" },
            failure: {
                tried: `the Debian packages ${list} could not be installed: \`apt-get ${command}\` failed`,
                next: "see that this host's apt sources are reached (`apt-get update`), then run again",
            },
        });
    };
}

/** Repeats for five minutes what another apt keeps from its lists: apt's own limit is for dpkg's lock only. */
async function withoutLock(update: () => Promise<void>): Promise<void> {
    const deadline = Date.now() + 300_000;
    for (;;) {
        try {
            return await update();
        } catch (error) {
            const held = error instanceof Failure && error.tail.some((line) => line.includes("Could not get lock"));
            if (!held || Date.now() > deadline) {
                throw error;
            }
            await sleep(1000);
        }
    }
}

/** Installs without starting what is installed: nobody asked for an sshd on port 22. */
async function withoutDaemons(install: () => Promise<void>): Promise<void> {
    const policy = "/usr/sbin/policy-rc.d";
    const mark = "# until runtime-sandboxes has installed its packages";
    // One of ours may be left by a run that was killed. It forbids nothing then: it asks for the process that wrote it.
    const own = !existsSync(policy) || readOr(policy, "").includes(mark);
    if (own) {
        const asks = `stat=$(cat /proc/${process.pid}/stat 2>/dev/null)\nset -- \${stat##*) }\n`;
        const text = `#!/bin/sh\n${mark}\n${asks}[ "\${20}" != ${startTicks(process.pid)} ] || exit 101\n`;
        writeFileSync(policy, text, { mode: 0o755 });
    }
    try {
        await install();
    } finally {
        if (own) {
            rmSync(policy, { force: true });
        }
    }
}
