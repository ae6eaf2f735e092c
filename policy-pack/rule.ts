import type { ResourceValidationPolicy, StackValidationPolicy } from "@pulumi/policy";
import { secretPaths } from "./secrets";
import { plain, type ValueMap } from "./values";

/** Where a rule says what it finds. */
interface Judge {
    /** Names the field, the value that is there, and what is allowed. */
    violation(message: string, urn?: string): void;
    /** What cannot be judged because a preview does not know it. */
    undecided(what: string): void;
}

export interface Resource {
    readonly type: string;
    readonly name: string;
    readonly urn: string;
    /** Inputs for a rule about resources, outputs for one about the stack. */
    readonly props: ValueMap;
}

/** A rule about each resource by itself, which holds before that is made or changed. */
export interface ResourceRule {
    readonly name: string;
    readonly description: string;
    /** Types that it is about. */
    readonly types: readonly string[];
    check(resource: Resource, judge: Judge, config: unknown): void;
}

export interface StackResource extends Resource {
    /** Paths of outputs that are secret. Their values are among `props` nevertheless. */
    readonly secrets: readonly (readonly string[])[];
}

/** A rule about all resources together, which holds at the end of a preview or an update. */
export interface StackRule {
    readonly name: string;
    readonly description: string;
    check(resources: readonly StackResource[], judge: Judge, config: unknown): void;
}

/** By rule: what could not be judged. Each preview and update has a process of its own. */
const undecided = new Map<string, Set<string>>();

function judgeOf(rule: string, report: (message: string, urn?: string) => void): Judge {
    return {
        violation: report,
        undecided: (what) => undecided.set(rule, (undecided.get(rule) ?? new Set()).add(what)),
    };
}

export function resourcePolicy(rule: ResourceRule): ResourceValidationPolicy {
    const { name, description, types } = rule;
    return {
        name,
        description,
        validateResource: (args, report) => {
            if (types.includes(args.type)) {
                const resource = { ...args, props: plain(args.props) as ValueMap };
                rule.check(resource, judgeOf(name, report), args.getConfig());
            }
        },
    };
}

export function stackPolicy(rule: StackRule): StackValidationPolicy {
    const { name, description } = rule;
    return {
        name,
        description,
        validateStack: (args, report) => {
            const resources = args.resources.map((resource) => ({
                type: resource.type,
                name: resource.name,
                urn: resource.urn,
                props: plain(resource.props) as ValueMap,
                secrets: secretPaths(resource.props),
            }));
            rule.check(resources, judgeOf(name, report), args.getConfig());
        },
    };
}

/** Says in one line what the policies before it could not judge. */
export const undecidedPolicy: StackValidationPolicy = {
    name: "undecided",
    description: "Not known in a preview; the update judges it.",
    enforcementLevel: "advisory",
    validateStack: (_, report) => {
        const lines = [...undecided].map(([rule, what]) => `${rule}: ${[...what].sort().join(", ")}`);
        if (lines.length > 0) {
            report(lines.join("\n"));
        }
    },
};
