import { until } from "../../../lab/process";
import { Issued } from "../../certificates";
import { disposable, testLab } from "../fixtures";
import { LoadBalancerHost } from "./loadBalancerHost";

jest.setTimeout(10 * 60_000);

/** Certificates that another tool keeps on the host and renews there. */

const lab = disposable(testLab());
let lb: LoadBalancerHost;
beforeAll(async () => void (lb = await LoadBalancerHost.start(lab)));
afterAll(() => LoadBalancerHost.stop(lb));

describe("files that another tool keeps on the host", () => {
    const folder = "/etc/letsencrypt";
    const live = `${folder}/live/rancher`;
    const elsewhere = {
        certificateChain: undefined,
        privateKey: undefined,
        certificateOnHost: { certificateChain: `${live}/fullchain.pem`, privateKey: `${live}/privkey.pem` },
    };

    /** Writes one of the files as certbot does: into its archive under a new number, with a link that leads there. */
    const put = async (name: "fullchain" | "privkey", text: string) => {
        const archive = `${folder}/archive/${name}${++version}.pem`;
        await lb.host.write(archive, text, "600");
        await lb.sh(`ln -sfn ${archive} ${live}/${name}.pem`);
    };
    const putBoth = async ({ certificate, privateKey }: Issued) => {
        await put("fullchain", certificate);
        await put("privkey", privateKey);
    };
    let version = 0;

    /** How often the reloading service has said these words. */
    const said = async (words: string) =>
        (await lb.sh("journalctl -u rancher-ha-certificate -o cat --no-pager")).split("\n").filter(line => line.includes(words)).length;

    beforeEach(async () => {
        await lb.sh(`mkdir -p ${live} ${folder}/archive`);
        await putBoth(lb.provided);
        await lb.apply(elsewhere);
        await lb.servedSoon(lb.provided);
    });
    afterAll(() => lb.sh(`rm -rf ${folder}`));

    test("are refused while they are missing", async () => {
        await lb.apply();
        await lb.sh(`rm -r ${folder}`);
        await lb.refuses(elsewhere, /expected a PEM file \/etc\/letsencrypt\/live\/rancher\/fullchain\.pem, found none/);
    });

    test("are served, and so is a renewal once both are written", async () => {
        await lb.served();
        expect(await lb.probe()).toBe("in sync");

        const renewed = lb.certificate();
        const [before, known] = [await lb.workers(), await said("does not belong to the key")];
        await put("fullchain", renewed.certificate);
        await until("the service to see one file of two", 240, async () => (await said("does not belong to the key")) > known);
        expect(await lb.workers()).toBe(before);
        await lb.served();
        await put("privkey", renewed.privateKey);
        await lb.servedSoon(renewed);
        expect(await lb.probe()).toBe("in sync");
    });

    test.each([
        ["for another name", { names: ["DNS:other.lab.internal"] }, "does not cover rancher.lab.internal"],
        ["that has expired", { days: -1 }, "has expired"],
    ])("are not served when the renewal is one %s", async (_what, changes, words) => {
        const before = await lb.ask();
        const known = await said(words);
        await putBoth(lb.certificate(changes));
        await until("what is wrong, in the journal", 240, async () => (await said(words)) > known);
        expect(await lb.ask()).toEqual(before);
        expect(await lb.probe()).toContain(`NGINX does not serve the certificate in ${live}/fullchain.pem`);
        const fit = lb.certificate();
        await putBoth(fit);
        await lb.servedSoon(fit);
    });

    test("are still looked at after many changes beside them", async () => {
        await lb.sh(`for n in 1 2 3 4 5 6 7 8; do touch ${live}/other; sleep 1.5; done; rm ${live}/other`);
        expect(await lb.sh("systemctl is-active rancher-ha-certificate.path")).toBe("active\n");
        const renewed = lb.certificate();
        await putBoth(renewed);
        await lb.servedSoon(renewed);
    });

    test("that were renewed without a reload are seen as drift", async () => {
        // A run that the last change began would still load the new files.
        await lb.sh(`systemctl stop rancher-ha-certificate.path
            while systemctl is-active rancher-ha-certificate.service | grep -qE '^(active|activating)'; do sleep 0.2; done`);
        const renewed = lb.certificate();
        await putBoth(renewed);
        expect(await lb.probe()).toBe(
            `rancher-ha-certificate.path: inactive, expected active\nNGINX does not serve the certificate in ${live}/fullchain.pem`,
        );
        await lb.apply(elsewhere);
        await lb.served(renewed);
        expect(await lb.probe()).toBe("in sync");
    });

    test.each(["fullchain.pem", "privkey.pem"])("are missed in the probe: %s", async name => {
        await lb.sh(`mv ${live}/${name} ${live}/away`);
        expect(await lb.probe()).toContain(`${live}/privkey.pem: missing, not readable, or they do not belong together`);
        await lb.sh(`mv ${live}/away ${live}/${name}`);
        expect(await lb.probe()).toBe("in sync");
    });

    test("stay when the stack provides its own certificate again", async () => {
        await lb.apply();
        await lb.served();
        expect(await lb.sh(`ls ${live}`)).toBe("fullchain.pem\nprivkey.pem\n");
        expect(await lb.sh("systemctl is-active rancher-ha-certificate.path || true")).toBe("inactive\n");
    });
});
