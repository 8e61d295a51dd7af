import { randomBytes } from "crypto";
import { readFileSync } from "fs";
import { join } from "path";
import { issue } from "./certificates";
import { LabHost } from "./host";
import { until } from "./process";

const port = 7070;
/** Image of rke-tools that RKE starts for snapshots of Kubernetes v1.30.14. */
const toolsImage = "rancher/rke-tools:v0.1.114";

/** A real S3 server, versitygw, on a host of a lab. Its certificate is issued by a private CA, and its keys are new. */
export class S3Server {
    readonly endpoint: string;
    readonly accessKey = `lab${randomBytes(8).toString("hex")}`;
    readonly secretKey = randomBytes(20).toString("hex");
    readonly caCertificate: string;
    private readonly ca = issue({ name: "CA of S3", ca: true });

    constructor(
        private readonly host: LabHost,
        private readonly tools: string,
    ) {
        this.endpoint = `${host.address}:${port}`;
        this.caCertificate = this.ca.certificate;
    }

    /** Starts the server with these buckets. */
    async start(...buckets: string[]): Promise<void> {
        const { certificate, privateKey } = issue({ name: "s3", names: [`IP:${this.host.address}`], usage: "serverAuth", by: this.ca });
        await this.host.write("/usr/local/bin/versitygw", readFileSync(join(this.tools, "versitygw")), "755");
        await this.host.sh(`mkdir -p /srv/buckets /srv/attributes; cd /srv/buckets && mkdir -p ${buckets.join(" ")}`);
        await this.host.write("/srv/s3.crt", certificate);
        await this.host.write("/srv/s3.key", privateKey, "600");
        await this.host.write("/srv/s3.env", `ROOT_ACCESS_KEY=${this.accessKey}\nROOT_SECRET_KEY=${this.secretKey}\n`, "600");
        await this.resume();
    }

    /** Stops the server. Its objects stay. */
    async stop(): Promise<void> {
        await this.host.sh("systemctl stop s3");
    }

    /** Starts a stopped server again. */
    async resume(): Promise<void> {
        const flags = `--quiet --port :${port} --cert /srv/s3.crt --key /srv/s3.key`;
        const server = `versitygw ${flags} posix --sidecar /srv/attributes /srv/buckets`;
        await this.host.sh(`systemd-run -q --collect --unit=s3 --property=EnvironmentFile=/srv/s3.env ${server}`);
        await until("S3", 30, () => this.host.succeeds(`ss -Hltn 'sport = :${port}' | grep -q .`));
    }

    /** Makes the host drop all packets to the server, or ends that. A client waits then, and gets no answer. */
    async silence(isSilent = true): Promise<void> {
        await this.host.sh(`iptables -${isSilent ? "A" : "D"} INPUT -p tcp --dport ${port} -j DROP`);
    }

    /** Lists the objects of a bucket. */
    async objects(bucket: string): Promise<string[]> {
        return (await this.host.sh(`cd /srv/buckets/${bucket} && find . -type f -printf '%P\\n' | sort`)).split("\n").filter(Boolean);
    }

    /** Gives a node's image of rke-tools the program that moves snapshots between the node and S3. */
    async connect(node: LabHost): Promise<void> {
        const program = join(this.tools, "s3-object");
        await node.addProgram(program, { image: toolsImage, file: "/usr/bin/s3-object", names: [toolsImage] });
    }
}
