import { firstAnswer } from "../../components/cluster/runner/kubernetesApi";

describe("questions to several API servers", () => {
    beforeEach(() => jest.useFakeTimers());
    afterEach(() => jest.useRealTimers());

    /** Asks servers that fail as often as given before they answer with their index. */
    async function ask(failures: number[], rounds?: number) {
        const asked: number[] = [];
        const questions = failures.map((count, index) => async () => {
            asked.push(index);
            if (asked.filter(each => each === index).length <= count) throw new Error(`server ${index}: ECONNREFUSED`);
            return index;
        });
        const answer = firstAnswer(questions, rounds).catch((error: Error) => error.message);
        await jest.runAllTimersAsync();
        return { asked, answer: await answer };
    }

    test("the first answer ends them", async () => {
        expect(await ask([1, 0, 0])).toEqual({ asked: [0, 1], answer: 1 });
    });

    test("a server that comes up answers in a later round", async () => {
        expect(await ask([2])).toEqual({ asked: [0, 0, 0], answer: 0 });
    });

    test("after the last round every different reason is told once", async () => {
        expect(await ask([9, 9])).toEqual({ asked: [0, 1, 0, 1, 0, 1], answer: "server 0: ECONNREFUSED\nserver 1: ECONNREFUSED" });
        expect((await ask([9, 9], 1)).asked).toEqual([0, 1]);
    });

    test("no server, no answer", async () => {
        expect(await ask([])).toEqual({ asked: [], answer: undefined });
    });
});
