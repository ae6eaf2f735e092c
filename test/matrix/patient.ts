import assert from "node:assert/strict";
import type { Configuration } from "./configurations";
import type { Machine, Machines, Result, Running } from "./machine";
import { CountingPod, handlers, mirrorSources, Worker } from "./worker";

/** What stands in for a quoted word in bash. */
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** Functions of the scripts in which a run is ended: those that change something. */
const changing =
    /^(main|check_basis|install_programs|apt_programs|keep|write_configuration|configure|reload|apt_source|apt_update|apt_install|write_if_changed|remove|remove_programs|give_back) /;

/** What belongs to the sandbox runtime: the rest of a machine must never change. */
const ours =
    /\/(etc\/containerd\/(runsc|[a-z]+\.d\/50-runtime-sandboxes\.toml)|etc\/apt\/sources\.list\.d\/gvisor\.list|usr\/share\/keyrings\/gvisor-|usr\/(local\/)?bin\/(runsc|containerd-shim-runsc-v1|gvisor-bin)|opt\/gvisor|var\/lib\/runtime-sandboxes)/;

/** One machine with a containerd in use, to which things are done while gVisor is put beside it. */
export class Patient {
    public injected = 0;
    public survived = 0;

    private constructor(
        private readonly machines: Machines,
        private readonly host: number,
        public readonly worker: Worker,
        private counting: CountingPod,
        /** What was there before. */
        private readonly before: { files: readonly string[]; effective: string; foreign: readonly string[] },
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
        const files = await worker.files();
        const before = { files, effective: await worker.effective(), foreign: await foreign(worker) };
        const older = await worker.plan(handlers.slice(0, 1));
        worker.values = await worker.plan();
        return new Patient(machines, host, worker, counting, before, older);
    }

    /** Nothing of the sandbox runtime is there, and all else is as it was found. */
    public async empty(): Promise<void> {
        const result = await this.worker.runtime("remove");
        assert.equal(result.code, 0, result.stderr);
        assert.deepEqual(await this.worker.files(), this.before.files);
        assert.equal(await this.worker.effective(), this.before.effective);
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
        this.injected++;
        await inject();
        await this.worker.install();
        assert.deepEqual(await this.worker.differences(), []);
        assert.deepEqual(await foreign(this.worker), this.before.foreign);
        await this.counting.counts();
        const kernel = await this.machine.on("uname -r");
        for (const { name } of handlers) {
            const pod = await this.worker.startPod(name, name, "exec sleep 600");
            assert.notEqual(await this.worker.inPod(pod, "uname -r"), kernel);
            await this.worker.stopPod(name);
        }
        this.survived++;
    }

    /** A run that must fail, with that message, and change nothing that is in use: no program, no file, no restart. */
    public async refused(message: RegExp, values: Readonly<Record<string, string>>, before = ""): Promise<void> {
        const look = async () => ({
            files: (await this.worker.files()).filter((line) => !line.includes("/var/lib/runtime-sandboxes")),
            run: await this.worker.containerdRun(),
            handlers: await this.worker.handlers(),
        });
        const then = await look();
        const result = await this.worker.runtime("install", values, before);
        assert.notEqual(result.code, 0, result.stderr);
        assert.match(result.stderr, message);
        assert.deepEqual(await look(), then);
    }

    /** Commands at which a run of the verb may be ended, evenly chosen among those that it went through. */
    public async points(verb: string, count: number): Promise<readonly string[]> {
        const log = `exec {trace}>/run/trace; trap 'printf "%s\\n" "\${FUNCNAME[0]-top} \${BASH_COMMAND@Q}" >&$trace' DEBUG`;
        const result = await this.worker.runtime(verb, {}, `set -o functrace\n${log}`);
        assert.equal(result.code, 0, result.stderr);
        const trace = (await this.machine.on("cat /run/trace")).split("\n");
        const all = [...new Set(trace)].filter((line) => changing.test(line));
        assert.ok(all.length >= count, `${verb} goes through ${all.length} commands`);
        return Array.from({ length: count }, (_, index) => all[Math.floor((index * all.length) / count)] ?? "");
    }

    /** Runs a verb up to this command; then its bash is killed. */
    public async killed(verb: string, point: string): Promise<void> {
        const result = await this.worker.runtime(verb, {}, at(point, "kill -KILL $$"));
        assert.equal(result.code, 137, `not killed at ${point}: ${result.stderr}`);
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
        await this.machine.on("crictl --timeout 60s rmp --all --force >/dev/null 2>&1");
        this.counting = await CountingPod.start(this.worker);
    }

    /** A run that is held up at its restart of containerd for some seconds. */
    public async held(seconds: number): Promise<Running> {
        const point = "configure 'own_files > $state/files'";
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

    public async install(): Promise<Result> {
        return await this.worker.runtime("install");
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

/** The files of others, and the root file without the lines of ours. */
async function foreign(worker: Worker): Promise<readonly string[]> {
    const root = "/etc/containerd/config.toml";
    const rest = await worker.machine.on(
        `sed '/^# >>> runtime-sandboxes$/,/^# <<< runtime-sandboxes$/d' ${root} | sha256sum`,
    );
    const others = (await worker.files()).filter((line) => !ours.test(line) && !line.endsWith(`  ${root}`));
    return [...others.filter((line) => line !== "755 /etc/containerd/conf.d"), rest];
}
