// Versions, and what is known against them: vulnerabilities.json says it, and the program and the command line both ask
// here. CommonJS, which every Node and every loader takes; the types are in the file beside it.
"use strict";

const known = require("../vulnerabilities.json");

/** "runc 1.1.5", and so on. Of Kubernetes only the kubelet of a worker is looked at. */
const names = { gvisor: "gVisor", containerd: "containerd", runc: "runc", kubernetes: "kubelet" };

const numbersOf = (version) => (/\d+(\.\d+)*/.exec(version)?.[0] ?? "0").split(".").map(Number);

/** "rc1" of "2.0.0-rc.1". A release comes after all of these in the alphabet. */
function stageOf(version) {
    const [, name = "release", number = ""] = /\d[-~.]?(alpha|beta|rc)[-.]?(\d*)/.exec(version) ?? [];
    return name + number;
}

/**
 * Negative if a is older than b. A pre-release ("2.1.0-rc.1") comes before its release; what is before or after the numbers
 * otherwise ("release-20260905.0", "2.3.7-1~debian.12", "1.1.5+ds1") does not count.
 */
function compareVersions(a, b) {
    const [left, right] = [numbersOf(a), numbersOf(b)];
    for (let index = 0; index < Math.max(left.length, right.length); index++) {
        const difference = (left[index] ?? 0) - (right[index] ?? 0);
        if (difference !== 0) {
            return difference;
        }
    }
    return stageOf(a).localeCompare(stageOf(b), "en", { numeric: true });
}

/** Whether a version is in a range of the table. Pre-releases of the first version that is affected are affected too. */
function isWithin(version, { from, fixed }) {
    return (
        (from === undefined || compareVersions(version, `${from}-alpha`) >= 0) &&
        (fixed === undefined || compareVersions(version, fixed) < 0)
    );
}

/**
 * What is known against these versions, and against flags of runsc that open again what a release has closed.
 *
 * @param versions by component; what is empty or no version is not judged
 * @param more.options flags of runsc by name, of each handler
 * @param more.accepted ids that are accepted
 */
function vulnerabilitiesIn(versions, { options = [], accepted = [], rows = known } = {}) {
    return rows.flatMap(({ id, component, affected, option, summary, source }) => {
        const version = versions[component] ?? "";
        const range = /\d/.test(version) ? affected.find((one) => isWithin(version, one)) : undefined;
        const value = option && options.map((flags) => flags[option.name]).find((one) => option.values.includes(one));
        if (range === undefined && value === undefined) {
            return [];
        }
        const how = range ? { fixed: range.fixed } : { option: `${option.name}=${value}` };
        return [{ id, component, version, ...how, summary, source, accepted: accepted.includes(id) }];
    });
}

/** The oldest release from `version` on that nothing is known against; undefined where there is none yet. */
function safeFrom(component, version, rows = known) {
    const fixes = vulnerabilitiesIn({ [component]: version }, { rows }).map(({ fixed }) => fixed);
    if (fixes.includes(undefined)) {
        return undefined;
    }
    return fixes.length === 0 ? version : safeFrom(component, fixes.sort(compareVersions).at(-1), rows);
}

/** "containerd 2.2.5 has", or "runsc's flag NAME=VALUE opens". */
function subjectOf({ component, version, option }) {
    return option === undefined
        ? `${names[component]} ${/\d.*/.exec(version)?.[0]} has`
        : `runsc's flag ${option} opens`;
}

/** One of vulnerabilitiesIn as a sentence, without the full stop at its end. */
function sentenceOf(one) {
    const fixed = one.fixed === undefined ? "" : ` (fixed in ${one.fixed})`;
    return `${subjectOf(one)} ${one.id}${fixed}: ${one.summary.replace(/\.$/, "")}`;
}

/** One line for each version or flag: "containerd 2.2.5 has ID, ID; fixed in 2.2.10". */
function linesOf(found) {
    return [...new Set(found.map(subjectOf))].map((subject) => {
        const own = found.filter((one) => subjectOf(one) === subject);
        const ids = own.map(({ id, accepted }) => (accepted ? `${id} (accepted)` : id)).join(", ");
        const fixed = own.map((one) => one.fixed).filter((one) => one !== undefined);
        return `${subject} ${ids}${fixed.length > 0 ? `, fixed in ${fixed.sort(compareVersions).at(-1)}` : ""}`;
    });
}

module.exports = { known, compareVersions, vulnerabilitiesIn, safeFrom, sentenceOf, linesOf };
