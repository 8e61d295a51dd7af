import { Issued, KeyKind } from "../../../lab/certificates";
import { disposable, testLab } from "../fixtures";
import { fingerprintOf, LoadBalancerHost, serving } from "./loadBalancerHost";

jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
let lb: LoadBalancerHost;
beforeAll(async () => {
    lb = await LoadBalancerHost.start(lab);
    await lb.apply();
});
afterAll(() => LoadBalancerHost.stop(lb));

describe("a certificate that cannot be served is refused, and the old one served on", () => {
    /** Returns a certificate for the right name, followed by a second one. */
    const followedBy = (second: Issued): Issued => {
        const made = lb.certificate();
        return { ...made, certificate: made.certificate + second.certificate };
    };

    test.each<[string, () => Issued, RegExp]>([
        [
            "for another name",
            () => lb.certificate({ names: ["DNS:other.example.com"] }),
            /fullchain\.pem does not cover rancher\.lab\.internal: DNS:other\.example\.com/,
        ],
        [
            "expired",
            () => lb.certificate({ days: -1 }),
            /fullchain\.pem is valid from .* to .*, and the clock of this host says .*Renew the certificate, or set the clock/,
        ],
        [
            "with a chain in the wrong order",
            () => followedBy(lb.provided),
            /the chain rancher-ha\/fullchain\.pem is not in order: expected the certificate of .*CA of a test, found /,
        ],
        [
            "with an intermediate of the right name and another key",
            () => followedBy(lb.certificate({ name: "CA of a test", ca: true, names: undefined })),
            /the chain rancher-ha\/fullchain\.pem does not hold: a certificate is not signed with the key of the next: error/,
        ],
        [
            "with its name in the subject alone",
            () => lb.certificate({ names: undefined }),
            /fullchain\.pem does not cover rancher\.lab\.internal: it has no/,
        ],
    ])("%s", (_what, made, words) => lb.refuses(serving(made()), words));

    test("not valid yet on this host, whose clock is far off", () =>
        // All hosts share the clock of this machine. So the test changes the time that openssl and date of the host read.
        lb.broken(
            `printf '#!/bin/sh\\n[ "$1" != +%%s ] || exec echo 1000000000\\nexec /usr/bin/date "$@"\\n' >/usr/local/bin/date
            chmod 755 /usr/local/bin/date
            printf '#!/bin/sh\\ncase $1 in verify) shift; set -- verify -attime 1000000000 "$@" ;; esac\\nexec /usr/bin/openssl "$@"\\n' >/usr/local/bin/openssl
            chmod 755 /usr/local/bin/openssl`,
            "rm /usr/local/bin/openssl /usr/local/bin/date",
            () => lb.refuses({ readTimeoutSeconds: 999 }, /is valid from .*, and the clock of this host says/),
        ));
});

test("of two certificates every client gets the one that it knows", async () => {
    const rsa = lb.certificate({ key: KeyKind.Rsa });
    await lb.changed({ secondCertificate: { certificateChain: rsa.certificate, privateKey: rsa.privateKey } }, async () => {
        expect(await lb.client.offered("ECDSA+SHA256")).toBe(fingerprintOf(lb.provided));
        expect(await lb.client.offered("RSA-PSS+SHA256")).toBe(fingerprintOf(rsa));
        expect(await lb.sh("stat -Lc '%a %U' /etc/nginx/rancher-ha/privkey-2.pem")).toBe("600 root\n");
        expect(await lb.probe()).toBe("in sync");
    });
});
