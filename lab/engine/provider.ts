import { Properties } from "./values";

/** What a provider gets about the resource it works on. */
export interface Call {
    urn: string;
    type: string;
    /** Inputs of the explicit provider resource, if there is one. */
    config: Properties;
    /** Says a line of progress about the resource. */
    say: (line: string) => void;
    /** Says when what runs for the call is to be ended, because the deployment is stopped. */
    stop: AbortSignal;
}

export interface Diff {
    changed: boolean;
    /** Inputs whose change needs a new resource. */
    replace: string[];
    deleteBeforeReplace?: boolean;
}

/** Made, but not in working order. */
export class InitError extends Error {
    constructor(
        message: string,
        readonly id: string,
        readonly outputs: Properties,
    ) {
        super(message);
    }
}

/** A resource provider; values come and go without secret envelopes unless `keepsSecrets` says otherwise. */
export interface Provider {
    check?(call: Call, before: Properties | undefined, inputs: Properties): Promise<Properties>;
    /** Absent: any changed input is an update. */
    diff?(call: Call, id: string, before: { inputs: Properties; outputs: Properties }, inputs: Properties): Promise<Diff>;
    create(call: Call, inputs: Properties): Promise<{ id: string; outputs: Properties }>;
    update?(call: Call, id: string, before: { inputs: Properties; outputs: Properties }, inputs: Properties): Promise<Properties>;
    delete?(call: Call, id: string, before: { inputs: Properties; outputs: Properties }): Promise<void>;
    read?(call: Call, id: string): Promise<Properties>;
    invoke?(call: Call, token: string, args: Properties): Promise<Properties>;
    /** Outputs that a preview of an update knows; absent: the inputs. */
    previewUpdate?(before: { inputs: Properties; outputs: Properties }, inputs: Properties): Properties;
    /** Starts what takes long to start, because it will be needed. */
    warm?(): void;
    close?(): void;
}
