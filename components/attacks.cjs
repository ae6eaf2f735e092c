// What came of attempts to leave a sandbox: the table of them, and what counts. The script that makes the attempts, the verdict
// and the command line all ask here. CommonJS, which every Node and every loader takes; the types are in the file beside it.
"use strict";

const { describeRuntime, isPlain, isSandboxed } = require("./evidence.cjs");

/** The table, which the program that makes the attempts has built in. */
const corpus = require("../mirror/build/attacks/corpus.json");

/** Whether attempts are made: on machines that the program makes here, unless the setting says otherwise. */
function attacksIn({ attacks, target }) {
    return attacks === "" ? target === "local" : attacks === "true";
}

/**
 * What an attempt came to. A sandbox has a /proc and files of its own, with some of the machine's names: so where something was
 * read, it has to be what the worker says.
 *
 * @param outcome what the program in the pod says; nothing where it says nothing of this attempt
 * @param worker { marker, kernel }: the secret of the decoys, and /proc/version
 */
function resultOf(outcome, worker) {
    if (outcome === undefined) {
        return { reached: true, saw: "the program in the pod says nothing of it" };
    }
    const { did, saw, proof } = outcome;
    const theirs = proof === undefined || worker[proof.of] === proof.value;
    return { reached: did && theirs, saw: did && !theirs ? `${saw}: not the worker's` : saw };
}

/** An attempt, by what came of it: whatever the control says, one that gets through is not refused. */
function stateOf({ control, inside }) {
    if (Object.values(inside).some(({ reached }) => reached)) {
        return "reached";
    }
    return control.reached ? "refused" : "proves nothing";
}

/** Why the pods are not what they should be, as sentences. */
function flawsOf({ control, inside }) {
    return [
        ...(isPlain(control) ? [] : [`the control is not on runc (${describeRuntime(control)})`]),
        ...Object.entries(inside).flatMap(([name, pod]) =>
            isSandboxed(pod) ? [] : [`the pod of class ${name} is not in a sandbox (${describeRuntime(pod)})`],
        ),
    ];
}

/** The attempts with their states, and the check of the verdict. */
function judge({ host, attempts }, rows = corpus) {
    const made = new Map(attempts.map((one) => [one.name, one]));
    const judged = rows.map(({ name }) => {
        const one = made.get(name);
        return one === undefined ? { name, state: "reached", inside: {} } : { ...one, state: stateOf(one) };
    });
    const named = (state) => judged.filter((one) => one.state === state);
    const [through, shown] = [named("reached"), named("refused")];
    const flaws = [
        ...flawsOf(host),
        ...(shown.length === 0 ? ["the control is refused everything, so this shows nothing"] : []),
    ];
    const count = `${rows.length - through.length} of ${rows.length} refused`;
    const detail =
        through.length > 0
            ? `${count}; not refused: ${through.map(sentenceOf).join(", ")}`
            : `${count}; ${shown.length} of them get through on the control`;
    return { attempts: judged, passed: flaws.length + through.length === 0, detail: [detail, ...flaws].join("; ") };
}

/** "engine-socket in weak (/given/engine.sock, connected)". */
function sentenceOf({ name, inside }) {
    const classes = Object.entries(inside).filter(([, { reached }]) => reached);
    const [[, { saw }] = [undefined, { saw: "it was not tried" }]] = classes;
    return `${name}${classes.length > 0 ? ` in ${classes.map(([one]) => one).join(", ")}` : ""} (${saw})`;
}

module.exports = { attacksIn, corpus, resultOf, stateOf, judge };
