import { randomInt } from "crypto";
import { Provider } from "../provider";
import { changedKeys } from "../values";

const sets = { lower: "abcdefghijklmnopqrstuvwxyz", upper: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", numeric: "0123456789" };

const integerType = "random:index/randomInteger:RandomInteger";

/** `@pulumi/random`: RandomPassword, RandomInteger. */
export const random: Provider = {
    async check(call, _before, inputs) {
        if (call.type === integerType) return inputs;
        if (call.type !== "random:index/randomPassword:RandomPassword")
            throw new Error(`the random provider of the lab does not know ${call.type}`);
        return { lower: true, upper: true, numeric: true, special: true, ...inputs };
    },
    async diff(_call, _id, before, inputs) {
        const replace = changedKeys(before.inputs, inputs);
        return { changed: replace.length > 0, replace };
    },
    async create(call, inputs) {
        if (call.type === integerType) {
            const result = randomInt(inputs.min, inputs.max + 1);
            return { id: String(result), outputs: { ...inputs, result } };
        }
        const special = inputs.overrideSpecial ?? "!@#$%&*()-_=+[]{}<>:?";
        const wanted = [
            ...(["lower", "upper", "numeric"] as const).filter(name => inputs[name]).map(name => sets[name]),
            ...(inputs.special ? [special] : []),
        ];
        const all = wanted.join("");
        const pick = (set: string) => set[randomInt(set.length)];
        const characters = [...wanted.map(pick), ...Array.from({ length: inputs.length - wanted.length }, () => pick(all))];
        for (let i = characters.length - 1; i > 0; i--) {
            const j = randomInt(i + 1);
            [characters[i], characters[j]] = [characters[j], characters[i]];
        }
        return { id: "none", outputs: { ...inputs, result: characters.join(""), bcryptHash: "" } };
    },
};
