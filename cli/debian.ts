// @ts-nocheck
// Debian packages of the operator's machine.
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Failure } from "./failure.ts";
import { startTicks } from "./locks.ts";
import { readOr } from "./project.ts";
import { capture, runLogged } from "./run.ts";

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
export async function missingPackages(names) {
    if (names.length === 0) {
        return [];
    }
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholders are dpkg-query's
    const query = await capture("dpkg-query", ["-W", "-f", "${Package} ${db:Status-Status}\n", ...names]);
    if (query.code === 127) {
        throw new Failure("this host has no dpkg-query: local machines need a Debian or Ubuntu host.", {
            next: "use such a host, or `npm run preview`, which needs none",
        });
    }
    const installed = new Set(
        query.stdout
            .split("\n")
            .filter((line) => line.endsWith(" installed"))
            .map((line) => line.split(" ")[0]),
    );
    return names.filter((name) => !installed.has(name));
}

/** Installs Debian packages without a question, waiting for another apt run to end. */
export async function installDebian(missing, progress) {
    const list = missing.join(", ");
    if (process.getuid?.() !== 0) {
        throw new Failure(`Debian packages are missing on this host (${list}), and only root may install them.`, {
            next: `sudo apt-get install ${missing.join(" ")}  (or run this command as root)`,
        });
    }
    await progress.step(`Debian packages (${list})`, async (say) => {
        const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" };
        const lock = "-oDPkg::Lock::Timeout=300";
        const failure = (command) => ({
            tried: `the Debian packages ${list} could not be installed: \`${command}\` failed`,
            next: "see that this host's apt sources are reached (`apt-get update`), then run again",
        });
        const update = async () =>
            await runLogged("apt-update", "apt-get", ["-q", lock, "update"], {
                ...{ say, env, failure: failure("apt-get update") },
            });
        const deadline = Date.now() + 300_000;
        // The limit for dpkg's lock is none for that of apt's lists.
        for (;;) {
            try {
                await update();
                break;
            } catch (error) {
                const held = error.tail?.some((line) => line.includes("Could not get lock"));
                if (!held || Date.now() > deadline) throw error;
                await sleep(1000);
            }
        }
        await withoutDaemons(async () => {
            const args = ["-q", "-y", lock, "--no-install-recommends", "install", ...missing];
            await runLogged("apt-install", "apt-get", args, { say, env, failure: failure("apt-get install") });
        });
    });
    if (missing.includes("openssh-server") && existsSync("/run/systemd/system")) {
        const disable = ["disable", "ssh.service", "ssh.socket"];
        const { code, stderr } = await capture("systemctl", disable);
        if (code !== 0) {
            progress.note(
                `an sshd may start on this host: ${stderr.trim().split("\n").pop()}; unless you want one: systemctl ${disable.join(" ")}`,
            );
        }
    }
}

/** Installs without starting what is installed: nobody asked for an sshd on port 22. */
async function withoutDaemons(install) {
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
