import * as fs from "node:fs";
import * as path from "node:path";

/** Host number of the control plane; workers follow. */
export const firstHost = 10;

/**
 * Host numbers by name, of the workers and of all machines on disk. A machine that exists keeps its address, also one that
 * this update removes: it runs until the update's end. A new one gets the lowest that is free.
 */
export function hostNumbers(files: string, workers: readonly string[]): Map<string, number> {
    const numbers = new Map<string, number>();
    const machines = path.join(files, "machines");
    for (const name of fs.existsSync(machines) ? fs.readdirSync(machines) : []) {
        const file = path.join(machines, name, "address");
        if (fs.existsSync(file)) {
            numbers.set(name, Number(fs.readFileSync(file, "utf8").trim().split(".")[3]));
        }
    }
    let next = firstHost + 1;
    for (const worker of workers.filter((name) => !numbers.has(name))) {
        while ([...numbers.values()].includes(next)) {
            next++;
        }
        numbers.set(worker, next);
    }
    return numbers;
}

/** Changes when the host boots. */
export function bootId(): string {
    return fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/**
 * Names the start of a machine that the stack wants. While the machine runs it is the one that it was started for, so
 * nothing changes; once it is down (the host was rebooted, or somebody ended it) the name is a new one, so the plan
 * shows that this machine is started and the update does it.
 */
export function incarnation(files: string, machine: string): string {
    const directory = path.join(files, "machines", machine);
    try {
        const was = JSON.parse(fs.readFileSync(path.join(directory, "process.json"), "utf8")) as {
            pid: number;
            startTime: string | number;
            bootId: string;
        };
        if (was.bootId === bootId() && startTime(was.pid) === String(was.startTime)) {
            return fs.readFileSync(path.join(directory, "incarnation"), "utf8").trim();
        }
        return `after-${was.bootId.slice(0, 8)}-${was.pid}-${was.startTime}`;
    } catch (error) {
        // No machine yet; or its note is damaged, then starting it writes a new one.
        return (error as NodeJS.ErrnoException).code === "ENOENT" ? "first" : "after-damage";
    }
}

/**
 * Field 22 of /proc/<pid>/stat (proc(5)), which tells two processes of one id apart; undefined if there is none, or only
 * one that has ended and was not waited for.
 */
function startTime(pid: number): string | undefined {
    try {
        const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
        const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        return fields[0] === "Z" ? undefined : fields[19];
    } catch {
        return undefined;
    }
}
