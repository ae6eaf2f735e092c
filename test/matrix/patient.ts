import assert from "node:assert/strict";
import type { Configuration } from "./configurations";
import type { Machine, Machines, Running } from "./machine";
import { CountingPod, changes, crictl, handlers, mirrorSources, Worker } from "./worker";

/** What stands in for a quoted word in bash. */
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** Functions of the scripts in which a run is ended: those that change something. */
const changing =
    /^(main|check_basis|install_programs|keep_removal|apt_programs|keep|put_by|write_configuration|configure|take_into_use|reload|reload_without|link_programs|drop_archives|apt_source|apt_update|apt_install|write_if_changed|give_back|give_back_root|give_back_package) /;

/** What belongs to the sandbox runtime: the rest of a machine must never change. */
const ours =
    /\/(etc\/containerd\/(runsc|[a-z]+\.d\/50-runtime-sandboxes\.toml)|etc\/apt\/sources\.list\.d\/gvisor\.list|usr\/share\/keyrings\/gvisor-|usr\/(local\/)?bin\/(runsc|containerd-shim-runsc-v1|gvisor-bin)|opt\/gvisor|var\/lib\/runtime-sandboxes)/;

/** One machine with a containerd in use, to which things are done while gVisor is put beside it. */
export class Patient {
    private constructor(
        private readonly machines: Machines,
        private readonly host: number,
        public readonly worker: Worker,
        private counting: CountingPod,
        /** What it was like before. */
        private readonly before: {
            files: readonly string[];
            handlers: readonly string[];
            kernel: string;
        },
        /** Constants of an earlier state, with one handler less. */
        private readonly older: Readonly<Record<string, string>>,
    ) {}

    public get machine(): Machine {
        return this.worker.machine;
    }

    public static async admit(machines: Machines, host: number, configuration: Configuration): Promise<Patient> {
        const machine = await machines.machine("patient", host);
        const worker = new Worker(machine, await mirrorSources());
        await worker.prepare("mirror", configuration, true);
        const counting = await CountingPod.start(worker);
        const before = {
            files: await worker.files(),
            handlers: await worker.handlers(),
            kernel: await machine.on("uname -r"),
        };
        const older = await worker.plan(handlers.slice(0, 1));
        worker.values = await worker.plan();
        return new Patient(machines, host, worker, counting, before, older);
    }

    /** Nothing of the sandbox runtime is there, and all else is as it was found. */
    public async empty(): Promise<void> {
        const result = await this.worker.runtime("remove");
        assert.equal(result.code, 0, result.stderr);
        await this.nothing();
    }

    /** Fails where something of the sandbox runtime is left, or something else is not as it was found. */
    public async nothing(): Promise<void> {
        assert.deepEqual(changes(this.before.files, await this.worker.files()), []);
        assert.deepEqual(await this.worker.handlers(), this.before.handlers);
        await this.counting.counts();
    }

    /** An earlier state is installed, so that there is something to change in place. */
    public async outdated(): Promise<void> {
        const result = await this.worker.runtime("install", this.older);
        assert.equal(result.code, 0, result.stderr);
    }

    /**
     * Injects a fault, and then installs once more: all must be as wanted, what others have configured untouched, the pod
     * that counts undisturbed, and sandboxes must run.
     */
    public async survive(inject: () => Promise<void>): Promise<void> {
        await inject();
        await this.worker.install();
        assert.deepEqual(await this.worker.differences(), []);
        assert.deepEqual(changes(foreign(this.before.files), foreign(await this.worker.files())), []);
        await this.counting.counts();
        await this.sandboxes();
    }

    /** Pods of each handler run, on a kernel of their own. */
    public async sandboxes(): Promise<void> {
        for (const { name } of handlers) {
            assert.notEqual(await this.worker.kernel(name), this.before.kernel, name);
        }
    }

    /** A run that must fail, with that message, and change nothing that is in use: no program, no file, no restart. */
    public async refused(message: RegExp, values: Readonly<Record<string, string>>, before = ""): Promise<void> {
        const look = async () => (await this.worker.files()).filter((line) => !line.includes("/runtime-sandboxes"));
        const [then, serving] = [await look(), await this.serving()];
        const result = await this.worker.runtime("install", values, before);
        assert.notEqual(result.code, 0, result.stderr);
        assert.match(result.stderr, message);
        assert.deepEqual(changes(then, await look()), []);
        assert.deepEqual(await this.serving(), serving);
    }

    /** A run that must fail with that message, and leave containerd as it serves and reads its configuration. */
    public async refusedLate(message: RegExp): Promise<void> {
        const then = await this.serving();
        const result = await this.worker.runtime("install");
        assert.notEqual(result.code, 0, result.stderr);
        assert.match(result.stderr, message);
        assert.equal((await this.serving()).run, then.run);
        await this.machine.on("containerd config dump >/dev/null");
    }

    /** What containerd is like: its run, what it has read, what it serves. */
    public async serving(): Promise<{ run: string; effective: string; handlers: readonly string[] }> {
        const { worker } = this;
        return {
            run: await worker.containerdRun(),
            effective: await worker.effective(),
            handlers: await worker.handlers(),
        };
    }

    /** A run that must fail with that message, after which containerd is as it was. */
    public async rolledBack(message: RegExp, was?: { effective: string; handlers: readonly string[] }): Promise<void> {
        const { effective, handlers } = was ?? (await this.serving());
        const files = foreign(await this.worker.files());
        const result = await this.worker.runtime("install");
        assert.notEqual(result.code, 0, result.stderr);
        assert.match(result.stderr, message);
        const now = await this.serving();
        assert.deepEqual({ effective: now.effective, handlers: now.handlers }, { effective, handlers });
        assert.deepEqual(changes(files, foreign(await this.worker.files())), []);
        await this.counting.counts();
    }

    /** A run that must fail with that message, and leave containerd down. */
    public async down(message: RegExp): Promise<void> {
        const result = await this.worker.runtime("install");
        assert.notEqual(result.code, 0, result.stderr);
        assert.match(result.stderr, message);
        await this.machine.on("! systemctl is-active --quiet containerd");
    }

    /** The version of gVisor that is wanted. */
    public get release(): string {
        return this.worker.values.RUNSC_VERSION ?? "";
    }

    /** The commands that a verb goes through, each with its function, and once. */
    public async trace(verb: string): Promise<readonly string[]> {
        const log = `trap 'printf "%s\\n" "\${FUNCNAME[0]-top} \${BASH_COMMAND@Q}" >>/run/trace' DEBUG`;
        const result = await this.worker.runtime(verb, {}, `rm -f /run/trace\nset -o functrace\n${log}`);
        assert.equal(result.code, 0, result.stderr);
        return [...new Set((await this.machine.on("cat /run/trace")).split("\n"))].filter((line) =>
            changing.test(line),
        );
    }

    /** Runs a verb up to this command; then its bash is killed. */
    public async killed(verb: string, point: string, before = ""): Promise<void> {
        const result = await this.worker.runtime(verb, {}, `${before}\n${at(point, "kill -KILL $$")}`);
        assert.notEqual(result.code, 0, `never came to ${point}: ${result.stderr}`);
        await this.machine.on("test -e /run/reached");
    }

    /** Runs a verb; the connection is cut when this is said, or after so many milliseconds. */
    public async cut(verb: string, when: RegExp | number): Promise<void> {
        const running = this.worker.startRuntime(verb);
        await until(running, when);
        running.child.kill("SIGKILL");
        await running.finished;
    }

    /** Runs a verb up to this command; then the machine loses its power, and is started again. */
    public async powerCut(verb: string, point: string): Promise<void> {
        const running = this.worker.startRuntime(verb, {}, at(point, "echo REACHED >&2; sleep 600"));
        await until(running, /REACHED/);
        process.kill(this.machine.pid(), "SIGKILL");
        await this.machines.machine(this.machine.name, this.host);
        running.child.kill("SIGKILL");
        await this.machine.on(
            `until ${crictl} info >/dev/null 2>&1; do sleep 0.2; done; ${crictl} rmp --all --force >/dev/null 2>&1`,
        );
        this.counting = await CountingPod.start(this.worker);
    }

    /** A run that is held up at this command for some seconds. */
    public async held(point: string, seconds: number): Promise<Running> {
        const running = this.worker.startRuntime("install", {}, at(point, `echo REACHED >&2; sleep ${seconds}`));
        await until(running, /REACHED/);
        return running;
    }

    /** Runs commands before and after what is done; those after it in any case. */
    public async while(begin: string, end: string, run: () => Promise<void>): Promise<void> {
        await this.machine.on(begin);
        try {
            await run();
        } finally {
            await this.machine.on(end);
        }
    }
}

/** Bash that does something before the script runs this command for the first time. */
function at(point: string, action: string): string {
    return `point=${quoted(point)}
set -o functrace
trap '[[ "\${FUNCNAME[0]-top} \${BASH_COMMAND@Q}" != "$point" || -e /run/reached ]] || { : >/run/reached; ${action}; }' DEBUG
rm -f /run/reached`;
}

/** Resolves when the command has said this, or that many milliseconds have gone; fails if it has ended before. */
async function until({ child, finished }: Running, when: RegExp | number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
        let said = "";
        child.stderr?.on("data", (part: string) => {
            said += part;
            if (typeof when !== "number" && when.test(said)) {
                resolve();
            }
        });
        if (typeof when === "number") {
            setTimeout(resolve, when);
        }
        void finished.then(({ stderr }) => reject(new Error(`ended before ${when} was said: ${stderr}`)));
    });
}

/** What is not the sandbox runtime's among the files of a machine. */
const foreign = (files: readonly string[]) =>
    files.filter((line) => !ours.test(line) && !/ \/etc\/containerd\/(config\.toml|conf\.d)$/.test(line));
