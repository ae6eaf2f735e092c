import * as pulumi from "@pulumi/pulumi";
import { hostStep } from "../hostStep";

/** Workers in use are all examined before the first is changed: what refuses one of them changes none. */
export class Examination {
    private readonly plans: pulumi.Output<unknown>[] = [];
    private readonly examined: Promise<pulumi.Output<pulumi.URN>>;
    private end: (last: pulumi.Output<pulumi.URN>) => void = () => {};

    /** @param workers how many there are to be examined */
    constructor(private readonly workers: number) {
        this.examined = new Promise((resolve) => {
            this.end = resolve;
        });
    }

    /**
     * @param plan what is to be done on a worker; it fails where that is refused
     * @returns the same, once the plan of each worker is known, and none is refused
     */
    hold<T extends object>(plan: pulumi.Output<T>): pulumi.Output<T> {
        this.plans.push(plan);
        if (this.plans.length === this.workers) {
            const workers = pulumi.all(this.plans).apply((all) => all.length);
            this.end(hostStep("workers-examined", { input: { workers } }, {}).urn);
        }
        // By one step of its own: each worker's change would depend on each other worker else.
        return pulumi.all([plan, this.examined]).apply(([own]) => own as T);
    }
}
