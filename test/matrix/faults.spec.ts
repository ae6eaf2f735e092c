import assert from "node:assert/strict";
import * as fs from "node:fs";
import { removal } from "../../components/machineScripts";
import { configurations } from "./configurations";
import { Machines } from "./machine";
import { Patient } from "./patient";
import { Repositories } from "./repositories";
import { handlers } from "./worker";

/** Evenly chosen ones of a list. */
const some = (list: readonly string[], count: number) =>
    Array.from({ length: count }, (_, index) => list[Math.floor((index * list.length) / count)] ?? "");

/** What root has in containerd's configuration, and much text with it. */
const long = `# ${"Who changes this file tells the others. ".repeat(500)}\n`;
const configuration = Object.fromEntries(
    Object.entries(configurations["v3 root"]).map(([file, text]) => [
        file,
        file.endsWith("config.toml") ? long + text : text,
    ]),
);

/** Bash that gives containerd's service something to fail on. */
const service = (text: string) =>
    `printf '[Service]\n${text}\n' >/etc/systemd/system/containerd.service.d/fault.conf; systemctl daemon-reload`;
const dropIn = "/etc/containerd/conf.d/50-runtime-sandboxes.toml";
const unreadable = service(`ExecStartPre=/bin/sh -c "! grep -q runsc-debug ${dropIn}"`);
const recovered = "rm -f /etc/systemd/system/containerd.service.d/fault.conf; systemctl daemon-reload";

/** Bash that puts a file system of this size, with what was there before and no room left, in place of a directory. */
const full = (directory: string, kib: number, room = 0) =>
    `mkdir -p ${directory}; cp -a ${directory} /run/was; mount -t tmpfs -o size=${kib}k,mode=755 tmpfs ${directory}
    cp -a /run/was/. ${directory}; dd if=/dev/zero of=${directory}/.fill bs=4k 2>/dev/null
    truncate --size -${room * 4096} ${directory}/.fill`;
/** Gives the room back, and keeps what has become of the directory. */
const roomy = (directory: string) =>
    `rm ${directory}/.fill; rm -rf /run/was; cp -a ${directory} /run/was; umount ${directory}
    find ${directory} -mindepth 1 -delete; cp -a /run/was/. ${directory}; rm -rf /run/was; rmdir ${directory} 2>/dev/null || true`;
/** Bash that locks a file as apt does, for so many seconds. */
const lock = (file: string, seconds: number) =>
    `perl -e 'use Fcntl; open(F, ">>", $ARGV[0]); $l = pack("ssx4qqix4", F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLK, $l) or die $!; close STDOUT; sleep $ARGV[1]' ${file} ${seconds} </dev/null >/dev/null 2>&1 & echo $! >/run/holder; sleep 0.3`;

describe("faults while gVisor is put on a machine in use", function () {
    this.timeout(600_000);
    const machines = new Machines("matrix", "sbxmx0", "10.81.0.0/24");
    const repositories = new Repositories("10.81.0.1");
    let patient: Patient;
    /** Whether a fault was not survived: the others get another machine. */
    let spoiled = false;
    const counted = { injected: 0, survived: 0 };
    let steps: { fresh: readonly string[]; update: readonly string[]; remove: readonly string[] };

    const admit = async () => await Patient.admit(machines, 10, configuration);
    const empty = async () => await patient.empty();
    const outdated = async () => await patient.outdated();
    const installed = async () => void (await patient.worker.install());

    before(async () => {
        await machines.up();
        await repositories.open();
        patient = await admit();
        // What is put by once is put by: it is not to be waited for in a later run.
        await outdated();
        await installed();
        await outdated();
        const update = await patient.trace("install");
        const remove = await patient.trace("remove");
        steps = { fresh: await patient.trace("install"), update, remove };
        await empty();
    });

    after(async () => {
        console.log(`${counted.injected} faults injected, ${counted.survived} survived`);
        repositories.close();
        await machines.down();
    });

    /** One fault: the machine is brought into a state, the fault happens, and another run makes all well. */
    function fault(name: string, state: () => Promise<void>, inject: () => Promise<void>): void {
        it(name, async () => {
            await count(async () => {
                await state();
                await patient.survive(inject);
            });
        });
    }

    async function count(run: () => Promise<void>): Promise<void> {
        if (spoiled) {
            await patient.machine.remove();
            patient = await admit();
        }
        spoiled = true;
        counted.injected++;
        await run();
        counted.survived++;
        spoiled = false;
    }

    const point = (of: keyof typeof steps, pattern: RegExp) => {
        const found = steps[of].find((line) => pattern.test(line));
        assert.ok(found, `no command ${pattern} in:\n${steps[of].join("\n")}`);
        return found;
    };

    describe("the script is killed", () => {
        for (const [of, state, verb, count] of [
            ["fresh", empty, "install", 24],
            ["update", outdated, "install", 12],
            ["remove", installed, "remove", 12],
        ] as const) {
            for (let index = 0; index < count; index++) {
                fault(`${verb} (${of}), command ${index + 1} of ${count}`, state, async () => {
                    await patient.killed(verb, some(steps[of], count)[index] ?? "");
                });
            }
        }

        for (let index = 0; index < 8; index++) {
            it(`remove goes on, command ${index + 1} of 8`, async () => {
                await count(async () => {
                    await patient.worker.install();
                    await patient.killed("remove", some(steps.remove, 8)[index] ?? "");
                    await empty();
                });
            });
        }
    });

    describe("the connection is cut", () => {
        for (const when of [
            50,
            300,
            700,
            /changed .*gvisor/,
            /installed runsc/,
            /changed .*conf\.d/,
            /changed .*config\.toml/,
        ]) {
            fault(`during install, ${when}`, empty, async () => await patient.cut("install", when));
        }
        for (const when of [200, /changed .*conf\.d/]) {
            fault(`during an update, ${when}`, outdated, async () => await patient.cut("install", when));
        }
        for (const when of [200, /changed .*config\.toml/, /restarted/]) {
            fault(
                `during remove, ${when}`,
                async () => {},
                async () => await patient.cut("remove", when),
            );
        }
        fault("while the machine is looked at", outdated, async () => await patient.cut("inspect", 100));
    });

    describe("the machine loses its power", () => {
        for (const [of, state, verb, pattern] of [
            ["fresh", empty, "install", /^apt_install 'reply=/],
            ["fresh", empty, "install", /^apt_install 'apt-mark/],
            ["fresh", empty, "install", /^configure 'own_files/],
            ["update", outdated, "install", /^reload 'restart_containerd/],
            ["remove", async () => {}, "remove", /^reload_without 'restart_containerd/],
        ] as const) {
            fault(`${verb} (${of}) at ${pattern.source}`, state, async () => {
                await patient.powerCut(verb, point(of, pattern));
            });
        }
    });

    describe("the disk is full", () => {
        const state = "/var/lib/runtime-sandboxes";
        fault("for the notes of this program", empty, async () => {
            await patient.while(full(state, 64), roomy(state), async () => {
                await patient.refusedLate(/No space left on device|disk full/);
            });
        });
        fault("for the copy of the configuration", empty, async () => {
            // Room for what removes it all, and for notes.
            const scripts = removal.map((file) => Math.ceil(fs.statSync(`scripts/on-machine/${file}`).size / 4096));
            const room = scripts.reduce((sum, blocks) => sum + blocks) + 6;
            await patient.while(full(state, 256, room), roomy(state), async () => {
                await patient.refusedLate(/No space left on device|disk full/);
            });
            await patient.worker.install();
            await empty();
        });
        fault("for gVisor's programs", empty, async () => {
            await patient.while(full("/usr/bin/gvisor-bin", 1024), roomy("/usr/bin/gvisor-bin"), async () => {
                await patient.refusedLate(/No space left on device/);
            });
        });
        fault("for dpkg's database", empty, async () => {
            await patient.while(full("/var/lib/dpkg", 16384), roomy("/var/lib/dpkg"), async () => {
                await patient.refusedLate(/No space left on device/);
            });
        });
        fault("for containerd's configuration", outdated, async () => {
            await patient.while(full("/etc/containerd", 256), roomy("/etc/containerd"), async () => {
                await patient.refusedLate(/No space left on device|disk full/);
            });
        });
        fault("but for one block, which is enough for containerd's configuration", outdated, async () => {
            await patient.while(full("/etc/containerd", 256, 1), roomy("/etc/containerd"), async () => {
                await patient.worker.install();
            });
        });
        fault("for temporary files", outdated, async () => {
            await patient.while(full("/tmp", 64), "umount /tmp; rm -rf /run/was", async () => {
                await patient.refused(/No space left on device|disk full/, {});
            });
        });
    });

    describe("containerd fails on the new configuration", () => {
        for (const [of, state] of [
            ["fresh", empty],
            ["update", outdated],
        ] as const) {
            // A first installation that fails is taken back whole.
            const takenBack = async () => (of === "fresh" ? await patient.nothing() : undefined);
            fault(`it does not start (${of})`, state, async () => {
                await patient.while(unreadable, recovered, async () => await patient.rolledBack(/the old one is back/));
                await takenBack();
            });
            fault(`it does not start, nor on the old one (${of})`, state, async () => {
                const started = `${recovered}; systemctl reset-failed containerd; systemctl start containerd`;
                await patient.while(service("ExecStart=\nExecStart=/bin/false"), started, async () => {
                    await patient.down(/does not serve with the old one either, so no pod starts here/);
                });
                await takenBack();
            });
            fault(`it starts without the handler (${of})`, state, async () => {
                const fake = `printf '%s\\n' '#!/bin/sh' 'grep -qs runsc-debug ${dropIn} || exec /usr/bin/containerd' \\
                    'exec /usr/bin/containerd --config /run/other.toml' >/usr/local/bin/fake
                    chmod +x /usr/local/bin/fake; echo 'version = 3' >/run/other.toml`;
                const start = service("ExecStart=\\nExecStart=/usr/local/bin/fake");
                await patient.while(`${fake}; ${start}`, `rm /usr/local/bin/fake; ${recovered}`, async () => {
                    await patient.rolledBack(/the old one is back/);
                });
                await takenBack();
            });
            fault(`it does not start, and the run before was killed ahead of its restart (${of})`, state, async () => {
                await patient.while(unreadable, recovered, async () => {
                    const then = await patient.serving();
                    await patient.killed("install", point(of, /^reload 'restart_containerd/));
                    await patient.rolledBack(/the old one is back/, then);
                });
                await takenBack();
            });
        }
    });

    describe("gVisor is there already", () => {
        const shim = "/usr/local/bin/containerd-shim-runsc-v1";
        const stale = `install -m 755 /bin/true ${shim}`;
        fault("a shim that containerd would start instead (fresh)", empty, async () => {
            await patient.while(stale, `rm ${shim}`, async () => await patient.refused(new RegExp(shim), {}));
        });
        fault("a shim that containerd would start instead (installed)", installed, async () => {
            await patient.while(stale, `rm ${shim}`, async () => {
                assert.match((await patient.worker.differences()).join(), new RegExp(shim));
                await patient.refused(new RegExp(shim), {});
            });
        });
        for (const [what, version] of [
            ["the same version", ""],
            ["another version", "20260824.0"],
        ] as const) {
            fault(`the package in ${what}, not on hold: it is given back like that`, empty, async () => {
                const { machine, worker } = patient;
                const held = async () => await machine.on("dpkg --list runsc | awk 'END { print $3, $1 }'");
                const was = version || patient.release;
                await machine.on(`dpkg --install /srv/mirror/apt/gvisor/pool/runsc_${was}_*.deb >/dev/null`);
                await worker.install();
                assert.equal(await held(), `${patient.release} hi`);
                const removed = await worker.runtime("remove");
                assert.equal(removed.code, 0, removed.stderr);
                assert.equal(await held(), `${was} ii`);
                await machine.on("dpkg --purge runsc >/dev/null 2>&1");
            });
        }
    });

    describe("where gVisor comes from is wrong", () => {
        const at = (name: string, fingerprint: string) => ({
            GVISOR_URL: repositories.url(name),
            GVISOR_KEY: repositories.url(`${name}/key`),
            GVISOR_FINGERPRINT: fingerprint,
        });
        for (const [of, state] of [
            ["fresh", empty],
            ["update", outdated],
        ] as const) {
            fault(`the index of the repository has expired (${of})`, state, async () => {
                const name = `expired-${of}`;
                const { fingerprint } = await repositories.repository(
                    name,
                    "sed -i '/^Date:/a Valid-Until: Wed, 01 Jan 2020 00:00:00 UTC' Release",
                );
                await patient.refused(/expired/i, at(name, fingerprint));
            });
            fault(`the index is signed by another key (${of})`, state, async () => {
                const name = `signed-${of}`;
                const { fingerprint } = await repositories.repository(name, "key other; signer=other");
                await patient.refused(/not available|NO_PUBKEY|not signed/, at(name, fingerprint));
            });
            fault(`a package is another one than the index says (${of})`, state, async () => {
                const name = `damaged-${of}`;
                const { fingerprint } = await repositories.repository(
                    name,
                    `for package in "$1"/pool/*.deb; do cp --remove-destination /etc/hostname "$package"; done`,
                );
                await patient.refused(/Hash Sum mismatch|Filesize/, {
                    ...at(name, fingerprint),
                    RUNSC_VERSION: of === "fresh" ? patient.release : "20260824.0",
                });
            });
        }
        fault("the key has another fingerprint", empty, async () => {
            await patient.refused(/fingerprint .* expected 0{40}; nothing was changed/, {
                GVISOR_FINGERPRINT: "0".repeat(40),
            });
        });
        fault("the key is not there", empty, async () => {
            await patient.refused(/cannot fetch .*\/nothing/, { GVISOR_KEY: repositories.url("nothing") });
        });
        fault("the key is a page that asks to log in", empty, async () => {
            await patient.refused(/fingerprint ''/, { GVISOR_KEY: repositories.url("hello") });
        });
        fault("the repository is not there", outdated, async () => {
            await patient.refused(/cannot read the repository gvisor/, { GVISOR_URL: repositories.url("nothing") });
        });
        fault("nobody listens at the repository", outdated, async () => {
            await patient.refused(/cannot read the repository gvisor/, { GVISOR_URL: "http://10.81.0.1:9/gvisor" });
        });
        fault("the repository lacks the version", outdated, async () => {
            await patient.refused(/20991231\.0.*\n*.*vailable/, { RUNSC_VERSION: "20991231.0" });
        });
    });

    describe("the archive is wrong", () => {
        const archived = (name: string, sha512: string) => ({
            METHOD: "archive",
            ARCHIVE_URL: repositories.url(name),
            ARCHIVE_SHA512: sha512,
        });
        for (const [what, message, values] of [
            [
                "it has another checksum",
                /expected 1{128}; nothing was changed/,
                async () => archived((await repositories.archive("good.tgz")).name, "1".repeat(128)),
            ],
            [
                "it is a page that asks to log in",
                /begins with: <!DOCTYPE html>/,
                async () => archived("hello/gvisor.tar.bz2", "1".repeat(128)),
            ],
            [
                "the folder of its date is missing",
                /cannot fetch .*20261231/,
                async () => archived("releases/20261231/gvisor.tar.bz2", "1".repeat(128)),
            ],
            [
                "the download breaks off",
                /cannot fetch/,
                async () => {
                    const { name, sha512 } = await repositories.archive("cut/gvisor.tgz");
                    return archived(name, sha512);
                },
            ],
            [
                "it lacks the shim",
                /holds no containerd-shim-runsc-v1; nothing was changed/,
                async () => {
                    const { name, sha512 } = await repositories.archive("shimless.tgz", "rm containerd-shim-runsc-v1");
                    return archived(name, sha512);
                },
            ],
            [
                "it is for another machine",
                /does not run here; nothing was changed/,
                async () => {
                    const { name, sha512 } = await repositories.archive(
                        "foreign.tgz",
                        "head -c 4096 runsc >x; cp x runsc; rm x",
                    );
                    return archived(name, sha512);
                },
            ],
        ] as const) {
            fault(`${what} (fresh)`, empty, async () => await patient.refused(message, await values()));
            fault(`${what} (update)`, outdated, async () => await patient.refused(message, await values()));
        }
        fault("none: it takes the place of the package, and the package that of it", outdated, async () => {
            const { name, sha512 } = await repositories.archive("good.tgz");
            const values = archived(name, sha512);
            const run = async (verb: string) => {
                const { code, stderr } = await patient.worker.runtime(verb, values);
                assert.equal(code, 0, stderr);
                return stderr;
            };
            const [{ name: handler = "" } = {}] = handlers;
            await patient.worker.startPod("packaged", handler, "exec sleep 600");
            // containerd looks for the shim only once.
            assert.match(await run("install"), /restarted/);
            await patient.sandboxes();
            // Nothing of the package is left, and what runs in it still ends.
            const left = await patient.machine.on(
                "dpkg-query --show runsc 2>/dev/null; ls /usr/bin/runsc /etc/containerd/runsc.toml /etc/apt/sources.list.d/gvisor.list 2>/dev/null || true",
            );
            assert.equal(left, "");
            await patient.worker.stopPod("packaged");
            assert.doesNotMatch(await run("install"), /changed|restarted|installed|removed/);
            await run("remove");
            await patient.nothing();
            await run("install");
        });
    });

    describe("others are at work", () => {
        fault("dpkg is locked for a while", empty, async () => {
            await patient.machine.on(lock("/var/lib/dpkg/lock-frontend", 5));
            await patient.worker.install();
        });
        fault("APT's lists are locked for a while", empty, async () => {
            await patient.machine.on(lock("/var/lib/apt/lists/lock", 5));
            await patient.worker.install();
        });
        for (const file of ["/var/lib/dpkg/lock-frontend", "/var/lib/apt/lists/lock"]) {
            fault(`${file} stays locked`, empty, async () => {
                await patient.while(lock(file, 600), "kill $(cat /run/holder)", async () => {
                    // apt waits for one of them, the script for the other; a second is a minute here.
                    const impatient = `apt-get() { command apt-get "$@" -o DPkg::Lock::Timeout=2; }
                        sleep() { SECONDS=$((SECONDS + 60)); command sleep 0.1; }`;
                    await patient.refused(/(acquire the dpkg frontend|Could not get) lock .*\/lock/, {}, impatient);
                });
            });
        }
        fault("two runs at once", empty, async () => {
            const first = await patient.held(point("fresh", /^configure 'own_files/), 3);
            const second = await patient.worker.install();
            assert.match(
                second.said,
                /another step is still at work here \(test patient, pid \d+, since [\d:]+, ends by/,
            );
            assert.doesNotMatch(second.said, /changed|restarted|installed/);
            assert.equal((await first.finished).code, 0);
        });
        fault("containerd's configuration is changed after it was looked at", outdated, async () => {
            const root = "/etc/containerd/config.toml";
            await patient.while(
                `cp -a ${root} /run/root; echo '# mine' >>${root}`,
                `cp -a /run/root ${root}`,
                async () => {
                    await patient.refused(/has changed since the plan was made; nothing was changed/, {});
                },
            );
        });
        for (const [what, damage, said] of [
            ["the drop-in is edited", `echo '# mine' >>${dropIn}`, /50-runtime-sandboxes\.toml is not as wanted/],
            ["the drop-in is deleted", `rm ${dropIn}`, /50-runtime-sandboxes\.toml is missing/],
            ["the root file is rewritten", "sed -i '/^# >>>/,/^# <<</d' /etc/containerd/config.toml", /our lines in/],
            ["runsc is deleted", "rm /usr/bin/runsc", /runsc is missing/],
            [
                "the package is removed",
                "apt-get purge -qq -y --allow-change-held-packages runsc >/dev/null",
                /package runsc is ""/,
            ],
            ["the hold is taken off", "apt-mark unhold runsc", /not on hold/],
            ["containerd is stopped", "systemctl stop containerd", /containerd is inactive/],
        ] as const) {
            fault(
                what,
                async () => {},
                async () => {
                    await patient.worker.install();
                    await patient.machine.on(damage);
                    assert.match((await patient.worker.differences()).join("\n"), said);
                },
            );
        }
    });

    describe("in the end", () => {
        it("all of it leaves no trace", async () => {
            await empty();
            assert.equal(counted.survived, counted.injected);
        });
    });
});
