import { RancherHa } from "../../components/rancherHa";
import { hostKeySchema } from "../../components/remote/schema";
import { rancherHaSchema } from "../../components/schema";
import { check, issueLines } from "../../components/validation";
import { record } from "../component/recorder";
import { issue } from "../../lab/certificates";
import { call, mock } from "../component/stackMocks";
import { kubeconfigOf } from "../kubeconfig";
import { refusedKubeconfigs } from "../refusedKubeconfigs";
import { hostKey, sshKey } from "../ssh";
import { changeAt, pair, validConfiguration, valuesOf } from "../configuration";

type Row = [name: string, change: [path: string, value: unknown][], key: string, expected: string | RegExp];

/** Returns a row for each value, all of them wrong for `key`. The error must name `key`. */
const at = (key: string, expected: string | RegExp, values: Record<string, unknown>): Row[] =>
    Object.entries(values).map(([what, value]) => [`${key}: ${what}`, [[key, value]], key, expected]);

const node = "cluster.nodes[0]";
const host = "loadBalancer.hosts[0]";
const values = "rancher.values";

/** Returns the lines of the error that refuses a configuration. */
const refusal = (configuration: unknown) => issueLines(check(rancherHaSchema, configuration).error?.issues ?? [], configuration);

const long = (length: number) => "a".repeat(length);
const notANumber = {
    "not a number": NaN,
    "an infinite number": Infinity,
    "a negative number": -1,
    "a huge number": 1e300,
    "a fraction": 90.5,
};
const unreachable = {
    loopback: "127.0.0.1",
    unspecified: "0.0.0.0",
    multicast: "224.0.0.18",
    broadcast: "255.255.255.255",
};
const unreachableNames = { localhost: "localhost", "a name below localhost": "lb.LOCALHOST", "a mapped loopback": "::ffff:127.0.0.1" };
const notAnAddress = {
    empty: "",
    "a blank inside": "192.0.2 .21",
    "an octet too large": "192.0.2.256",
    "three octets": "192.0.2",
    "two dots": "a..b",
    "an address with a port": "192.0.2.21:22",
    "a URL": "https://192.0.2.21",
    "a network": "192.0.2.21/24",
    "a label of 64 characters": `${long(64)}.example.com`,
    "254 characters": `${"a.".repeat(126)}aa`,
    "a hyphen at the beginning": "-oProxyCommand=x",
    "a line break": "192.0.2.21\n",
};
const notAUser = {
    empty: "",
    "a command behind it": "a; rm -rf /",
    "an option": "-oProxyCommand=x",
    "a blank": "rke user",
    "a quote": "rke'",
    "a command inside": "`id`",
    "a colon": "rke:x",
    "a line break": "rke\n",
    "a backslash at the end": "rke\\",
};
const notALabel = {
    "64 characters": long(64),
    "a blank": "a b",
    "a hyphen at the end": "zone-",
    "a slash": "a/b",
    "a letter beyond ASCII": "größe",
};
const notAKey = {
    "a blank and a mark": "bad key!",
    empty: "",
    "64 characters": long(64),
    "two slashes": "example.com/a/b",
    "an empty prefix": "/zone",
    "upper case in the prefix": "Example.com/zone",
    "two dots in the prefix": "example..com/zone",
    "nothing behind the prefix": "example.com/",
};
const notANodeName = {
    empty: "",
    "two dots": "a..b",
    "an underscore": "node_1",
    "upper case": "Node1",
    "a dot at the end": "node1.",
    "64 characters": long(64),
};

const notAnEndpoint = {
    empty: "",
    "without a scheme": "192.0.2.40:6443",
    http: "http://192.0.2.40:6443",
    "a user": "https://a:b@192.0.2.40:6443",
    "a password alone": "https://:b@192.0.2.40:6443",
    "a path": "https://192.0.2.40:6443/api",
    "a query": "https://192.0.2.40:6443?a=b",
    "port 0": "https://192.0.2.40:0",
};

/** Returns a row for a kubeconfig that is wrong at one place. */
const inKubeconfig = (what: string, kubeconfig: string, place: string, expected: string | RegExp): Row => [
    `kubeconfig: ${what}`,
    [
        ["cluster", undefined],
        ["existingCluster", { kubeconfig, ingressAddresses: ["192.0.2.41"] }],
    ],
    `existingCluster.kubeconfig${place}`,
    expected,
];
const base64 = (text: string) => Buffer.from(text).toString("base64");
const someCa = base64(issue({ name: "kube-ca", ca: true }).certificate);

const servedCa = issue({ name: "CA", ca: true });
const serverCertificate = issue({ name: "rancher.example.com", names: ["DNS:rancher.example.com"], by: servedCa, usage: "serverAuth" });
/** A provided certificate without faults. */
const served = {
    certificateChain: serverCertificate.certificate,
    privateKey: serverCertificate.privateKey,
    caCertificate: servedCa.certificate,
};

const rows: Row[] = [
    ...at("hostname", /expected a lower-case DNS name|at most/, {
        empty: "",
        "one label": "rancher",
        "upper case": "Rancher.example.com",
        "an IPv4 address": "192.0.2.20",
        "an IPv6 address": "2001:db8::1",
        "a URL": "https://rancher.example.com",
        "a port": "rancher.example.com:443",
        "a wildcard": "*.example.com",
        "a dot at the end": "rancher.example.com.",
        "an underscore": "rancher_1.example.com",
        "a hyphen at the end of a label": "rancher-.example.com",
        "a label of 64 characters": `${long(64)}.example.com`,
        "255 characters": `${"a.".repeat(127)}a`,
        "a last label that is a number": "rancher.123",
        "a last label that browsers read as a number": "rancher.0x1f",
        "a letter beyond ASCII": "ränchер.example.com",
        "a semicolon": "a.example.com;",
        "a line break": "rancher.example.com\n",
    }),
    ...at("ssh.user", "expected a user name", notAUser),
    ...at("ssh.port", /expected (number|whole number|at most|at least)/, { ...notANumber, zero: 0, "65536": 65536 }),
    ...at("ssh.waitSeconds", /expected (number|whole number|at most|at least)/, { ...notANumber, "two hours": 7200 }),
    ...Object.entries<[unknown, RegExp | string]>({
        address: ["127.0.0.1", "expected an address by which other hosts reach"],
        port: [65536, "expected at most 65535"],
        user: ["a; rm -rf /", "expected a user name"],
        privateKey: ["~/.ssh/id_ed25519", "expected a private key"],
        hostKey: ["AAAA", "expected one public host key line"],
        jump: ["192.0.2.51", "no such key"],
    }).map(([key, [value, expected]]): Row => [
        `a bastion with a wrong ${key}`,
        [["ssh.bastion", { address: "192.0.2.50", hostKey, [key]: value }]],
        `ssh.bastion.${key}`,
        expected,
    ]),
    ["a bastion without an address", [["ssh.bastion", { hostKey }]], "ssh.bastion.address", "expected string"],
    ["a bastion without a host key", [["ssh.bastion", { address: "192.0.2.50" }]], "ssh.bastion.hostKey", "expected a host key"],
    ...at("ssh.privateKey", "expected a private key", { empty: "", "a public key": "ssh-ed25519 AAAA", "a path": "~/.ssh/id_ed25519" }),

    ...at("loadBalancer.hosts", /expected one host/, { "an empty list": [] }),
    [
        "three hosts",
        [
            ["loadBalancer.hosts", [...pair.hosts, { ...pair.hosts[0], address: "192.0.2.23" }]],
            ["loadBalancer.virtualIp", pair.virtualIp],
        ],
        "loadBalancer.hosts",
        "expected one host, or two",
    ],
    ["a pair without a virtual IP", [["loadBalancer.hosts", pair.hosts]], "loadBalancer.virtualIp", "expected a virtual IP for two hosts"],
    ...at("loadBalancer.kubernetesApi", "expected boolean", { "a text": "yes", "a number": 6443 }),
    [
        "the Kubernetes API of a control plane node without an IP address",
        [
            ["loadBalancer.kubernetesApi", true],
            [`${node}.address`, "node1.example.com"],
            [`${node}.roles`, ["controlplane", "etcd"]],
        ],
        `${node}.address`,
        "expected an IP address here or as internalAddress",
    ],
    [
        "the Kubernetes API of a control plane node that is a load balancer host",
        [
            ["loadBalancer.kubernetesApi", true],
            [`${node}.address`, "192.0.2.21"],
            [`${node}.roles`, ["controlplane", "etcd"]],
        ],
        `${node}.address`,
        "expected no load balancer host: port 6443",
    ],
    [
        "the Kubernetes API of a control plane node with an internalAddress that is a load balancer host",
        [
            ["loadBalancer.kubernetesApi", true],
            [`${node}.address`, "192.0.2.21"],
            [`${node}.internalAddress`, "10.0.0.31"],
            [`${node}.roles`, ["controlplane", "etcd"]],
        ],
        `${node}.address`,
        "expected no load balancer host: port 6443",
    ],
    [
        "the Kubernetes API of a control plane node that is a load balancer host by its internalAddress",
        [
            ["loadBalancer.kubernetesApi", true],
            [`${host}.internalAddress`, "10.0.0.31"],
            [`${node}.internalAddress`, "10.0.0.31"],
            [`${node}.roles`, ["controlplane", "etcd"]],
        ],
        `${node}.internalAddress`,
        "expected no load balancer host: port 6443",
    ],
    [
        "one host with a virtual IP",
        [["loadBalancer.virtualIp", pair.virtualIp]],
        "loadBalancer.virtualIp",
        "expected no virtual IP for one host",
    ],
    [
        "one host twice",
        [
            ["loadBalancer.hosts", [pair.hosts[0], pair.hosts[0]]],
            ["loadBalancer.virtualIp", pair.virtualIp],
        ],
        "loadBalancer.hosts[1].address",
        "expected another host",
    ],
    [
        "one host twice, with its name in another case",
        [
            ["loadBalancer.hosts", ["LB.example.com", "lb.example.com"].map(address => ({ ...pair.hosts[0], address }))],
            ["loadBalancer.virtualIp", pair.virtualIp],
        ],
        "loadBalancer.hosts[1].address",
        "expected another host",
    ],
    [
        "one host twice, with its IPv6 address in another form",
        [
            ["loadBalancer.hosts", ["2001:DB8::1", "2001:db8:0::1"].map(address => ({ ...pair.hosts[0], address }))],
            ["loadBalancer.virtualIp", pair.virtualIp],
        ],
        "loadBalancer.hosts[1].address",
        "expected another host",
    ],
    [
        "a pair of DNS names",
        [
            ["loadBalancer.hosts", [{ ...pair.hosts[0], address: "lb.example.com" }, pair.hosts[1]]],
            ["loadBalancer.virtualIp", pair.virtualIp],
        ],
        "loadBalancer.hosts[0].address",
        "expected an IPv4 address",
    ],
    ...at(`${host}.address`, "expected an IP address or a DNS name", notAnAddress),
    ...at(`${host}.address`, "expected an address by which other hosts reach", {
        ...unreachable,
        ...unreachableNames,
        "an IPv6 loopback": "::1",
        "link-local": "fe80::1",
        "an IPv6 loopback in full": "0:0:0:0:0:0:0:1",
        "IPv6 multicast": "ff02::12",
    }),
    ...at(`${host}.address`, "expected an address outside cluster.network.serviceClusterIpRange 10.43.0.0/16", {
        "in the default range of services": "10.43.7.21",
    }),
    ...at(`${host}.address`, "expected an address outside cluster.network.clusterCidr 10.42.0.0/16", {
        "in the default range of pods": "10.42.0.1",
    }),
    ...at(`${host}.internalAddress`, "expected the address of a host", unreachable),
    ...at(`${host}.internalAddress`, "expected an IPv4 address", { "an IPv6 address": "2001:db8::1", "a name": "lb.example.com" }),
    ...at(`${host}.internalAddress`, "expected an address outside cluster.network.serviceClusterIpRange 10.43.0.0/16", {
        "in the default range of services": "10.43.7.21",
    }),
    ...at(`${host}.internalAddress`, "expected an address outside cluster.network.clusterCidr 10.42.0.0/16", {
        "in the default range of pods": "10.42.0.1",
    }),
    ...at(`${host}.address`, "expected a host of its own, not a worker node", { "of a worker": "192.0.2.31" }),
    ...at(`${host}.user`, "expected a user name", notAUser),
    ...at(`${host}.hostKey`, "expected one public host key line", {
        empty: "",
        "without its type": "AAAAC3NzaC1lZDI1NTE5",
        "of DSA": "ssh-dss AAAA",
        "two lines": "ssh-ed25519 AAAA\nssh-ed25519 AAAA",
    }),
    ...at(`${host}.hostKey`, "expected the Ed25519 or ECDSA key", { "of RSA": "ssh-rsa AAAA", "of RSA with a tab": "ssh-rsa\tAAAA" }),
    ...Object.entries({
        "a key that is cut off": [
            "192.0.2.21 ssh-ed25519 AAAA",
            "expected a whole host key: line 1 of ssh.knownHosts holds data that is no",
        ],
        "two keys": [
            ["E", "F"].map(end => `192.0.2.21 ${pair.hosts[0].hostKey.slice(0, -1)}${end}\n`).join(""),
            "expected one key of the host: lines 1 and 2 of ssh.knownHosts hold two of the type ssh-ed25519.",
        ],
    }).map(([what, [knownHosts, expected]]): Row => [
        `known hosts with ${what}`,
        [
            ["ssh.knownHosts", knownHosts],
            [`${host}.hostKey`, undefined],
        ],
        `${host}.hostKey`,
        expected,
    ]),
    ...at(`${host}.port`, /expected (number|whole number|at most|at least)/, { zero: 0, "65536": 65536, "a fraction": 22.5 }),
    ...Object.entries({
        ...unreachable,
        "an IPv6 address": "2001:db8::1",
        "a name": "vip.example.com",
        "a network": "192.0.2.20/24",
        "class E": "240.0.0.1",
    }).map(([what, address]): Row => [
        `a virtual IP that is ${what}`,
        [
            ["loadBalancer.hosts", pair.hosts],
            ["loadBalancer.virtualIp", { address }],
        ],
        "loadBalancer.virtualIp.address",
        /expected (the address of a host|an IPv4 address)/,
    ]),
    ...Object.entries({
        "of a host": ["192.0.2.22", "expected an address that no host has"],
        "of a node": ["192.0.2.32", "not that of a node"],
        "among the services": ["10.43.0.9", "outside cluster.network.serviceClusterIpRange"],
    }).map(([what, [address, expected]]): Row => [
        `a virtual IP that is ${what}`,
        [
            ["loadBalancer.hosts", pair.hosts],
            ["loadBalancer.virtualIp", { address }],
        ],
        "loadBalancer.virtualIp.address",
        expected,
    ]),
    [
        "a virtual IP that is the bastion's address",
        [
            ["loadBalancer.hosts", pair.hosts],
            ["loadBalancer.virtualIp", pair.virtualIp],
            ["ssh.bastion", { address: pair.virtualIp.address, hostKey: pair.hosts[0].hostKey }],
        ],
        "loadBalancer.virtualIp.address",
        "expected an address that nothing else uses, not that of ssh.bastion",
    ],
    [
        "a virtual IP that is an API server of an existing cluster",
        [
            ["loadBalancer.hosts", pair.hosts],
            ["loadBalancer.virtualIp", pair.virtualIp],
            ["cluster", undefined],
            [
                "existingCluster",
                { kubeconfig: kubeconfigOf(), ingressAddresses: ["192.0.2.41"], controlPlaneAddresses: [pair.virtualIp.address] },
            ],
        ],
        "loadBalancer.virtualIp.address",
        "not that of a node",
    ],
    ...(["routerId", "advertIntervalSeconds"] as const).flatMap(key =>
        Object.entries({ "not a number": NaN, zero: 0, negative: -1, huge: 1e9 }).map(([what, value]): Row => [
            `a ${key} that is ${what}`,
            [
                ["loadBalancer.hosts", pair.hosts],
                ["loadBalancer.virtualIp", { ...pair.virtualIp, [key]: value }],
            ],
            `loadBalancer.virtualIp.${key}`,
            /expected (number|whole number|at most|at least)/,
        ]),
    ),
    ...[
        "upstreamPort",
        "upstreamKeepalive",
        "connectTimeoutSeconds",
        "readTimeoutSeconds",
        "maxFails",
        "failTimeoutSeconds",
        "deadPeerTimeoutSeconds",
        "workerConnections",
        "workerShutdownTimeoutSeconds",
        "hstsMaxAgeSeconds",
        "statusPort",
    ].flatMap(key => at(`loadBalancer.${key}`, /expected /, notANumber)),
    ...at("loadBalancer.readTimeoutSeconds", "expected at least 900", { "too short": 899 }),
    ...at("loadBalancer.statusPort", "expected another port", { "a port of the load balancer": 443, "that of the API": 6443 }),
    ...at("loadBalancer.statusPort", /expected at (most|least)/, { zero: 0, "above the last": 65536 }),
    ...at("loadBalancer.maxBodySize", "expected a size", {
        empty: "",
        "without a unit": "256",
        "a unit of more letters": "256MB",
        negative: "-1m",
        "a directive behind it": "1m; autoindex on",
    }),
    ...at("loadBalancer.maxBodySize", "expected a size up to 8589934591g: NGINX counts bytes in 63 bits", {
        "more bytes than NGINX counts": "99999999999999g",
        "one gigabyte too many": "8589934592g",
        "one kilobyte too many": "9007199254740992k",
    }),
    ...at("loadBalancer.maxRequestHeaderSize", "expected a size from 8k to 256k", { empty: "", low: "7k", high: "257k", megabytes: "1m" }),
    ...at("loadBalancer.maxResponseHeaderSize", "expected a size from 4k to 64k", { empty: "", low: "3k", high: "65k", bytes: "8192" }),
    ...at("loadBalancer.minTlsVersion", "expected one of", { "an old one": "1.0", "a name": "TLSv1.2" }),
    ...at("loadBalancer.drift", "expected one of", { "another word": "ignore" }),
    ...["0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/7", "2000::/3", "2000::/7", "2a00::/12", "fc::/8"].map((network): Row => [
        `trusted proxies ${network}`,
        [["loadBalancer.trustedProxies", [network]]],
        "loadBalancer.trustedProxies[0]",
        "expected no larger network",
    ]),
    ...["", "example.com", "10.0.0.0/33", "10.0.0.0-10.0.0.9", "10.0.0.1;", "all", "unix:"].map((network): Row => [
        `trusted proxies "${network}"`,
        [["loadBalancer.trustedProxies", [network]]],
        "loadBalancer.trustedProxies[0]",
        "expected an IP address or a network",
    ]),
    ...["http", "server", "location"].flatMap(place => [
        ...at(`loadBalancer.extraDirectives.${place}`, "expected whole directives", {
            "a block without its end": "if ($arg_a) {",
            "an end of the block around": "} server {",
            "an end in another order": "} {",
        }),
        ...at(`loadBalancer.extraDirectives.${place}`, "expected a ; or a block", {
            "no semicolon": "gzip on",
            "no semicolon at the end": "gzip on; gzip_vary on",
            "a quote without its end": 'set $a "b;',
            "a backslash at the end": "gzip on; \\",
            "words behind a block": "if ($arg_a) { return 403; } gzip",
        }),
        ...at(`loadBalancer.extraDirectives.${place}`, "set_real_ip_from: expected no larger network", {
            "trust in all addresses": "set_real_ip_from 0.0.0.0/0;",
            "trust inside a block": "if ($arg_a) { set_real_ip_from ::/0; }",
        }),
        ...at(`loadBalancer.extraDirectives.${place}`, "expected an absolute path behind include", {
            "a relative include": "include conf.d/*.conf;",
        }),
    ]),
    ...[
        "Host $host",
        "host $http_host",
        "X-Forwarded-Proto $scheme",
        "X-Forwarded-Port $server_port",
        "X-Forwarded-For $proxy_add_x_forwarded_for",
        "Upgrade $http_upgrade",
        "Connection upgrade",
        '"Host" $host',
    ].map((header): Row => [
        `the server's own header ${header}`,
        [["loadBalancer.extraDirectives.server", `gzip on; proxy_set_header ${header};`]],
        "loadBalancer.extraDirectives.server",
        "expected no proxy_set_header for a header that the load balancer sets itself",
    ]),
    ...at("loadBalancer.extraDirectives.location", "expected no proxy_set_header", {
        "a request header": "proxy_set_header X-A b;",
        "an answer header": "add_header X-A b;",
        "an answer header behind a comment, in a block": "# add_header\nif ($arg_a) { add_header X-A b; }",
    }),
    ...Object.entries({
        http: { client_max_body_size: "client_max_body_size 1g;", "upstream rancher": "upstream rancher { server 192.0.2.1; }" },
        server: { proxy_buffer_size: "gzip on; proxy_buffer_size 16k;", "location /": "location ^~ / { return 204; }" },
        location: { proxy_pass: "proxy_pass http://192.0.2.1;", proxy_buffer_size: "proxy_buffer_size 16k;" },
    }).flatMap(([place, texts]) =>
        Object.entries(texts).flatMap(([name, text]) =>
            at(`loadBalancer.extraDirectives.${place}`, `expected no ${name}: the stack sets it in the same block`, { [name]: text }),
        ),
    ),

    [
        "both kinds of cluster",
        [["existingCluster", { kubeconfig: kubeconfigOf(), ingressAddresses: ["192.0.2.41"] }]],
        "cluster",
        "expected exactly one of cluster and existingCluster, found both",
    ],
    ["no cluster", [["cluster", undefined]], "cluster", "found neither"],
    [
        "two certificates",
        [
            ["privateCa", {}],
            ["certificateOnHost", { certificateChain: "/a.pem", privateKey: "/a.key" }],
        ],
        "privateCa",
        "expected nothing beside certificateOnHost",
    ],
    ...at("cluster.clusterName", "expected a lower-case DNS name", {
        empty: "",
        "upper case": "Rancher",
        "a blank": "my cluster",
        "two dots": "a..b",
    }),
    ...at("cluster.kubernetesVersion", "expected a", {
        empty: "",
        latest: "latest",
        "of the distribution only": "v1.30.14",
        "for subscribers": "v1.31.14-rancher1-1",
        "without v": "1.30.14-rancher1-1",
    }),
    ...at("cluster.nodes", "expected at least one node", { "an empty list": [] }),
    ...at(`${node}.address`, /expected an? (IP|IPv4) address/, notAnAddress),
    ...at(`${node}.address`, "expected an address by which other hosts reach", unreachable),
    ...at(`${node}.address`, "expected an address by which other hosts reach", unreachableNames),
    ...at(`${node}.address`, "expected an IPv4 address or a DNS name", { IPv6: "2001:db8::31" }),
    ...at(`${node}.address`, "expected an address outside network.clusterCidr", { "among the pods": "10.42.1.1" }),
    ...at(`${node}.address`, "expected an IP address, or an internalAddress", { "a name of a worker": "node1.example.com" }),
    ["an address of two nodes", [[`${node}.address`, "192.0.2.33"]], "cluster.nodes[2].address", "expected a value of its own"],
    [
        "an inner address of another node",
        [[`cluster.nodes[1].internalAddress`, "192.0.2.31"]],
        "cluster.nodes[1].internalAddress",
        "expected a value of its own",
    ],
    [
        "a DNS name of two nodes, in another case",
        [0, 1].map(index => [`cluster.nodes[${index}].internalAddress`, ["Node.example.com", "node.example.com"][index]]),
        "cluster.nodes[1].internalAddress",
        "expected a value of its own",
    ],
    [
        "an address that is the name of another node",
        [
            [`${node}.hostname`, undefined],
            [`${node}.address`, "NODE2"],
        ],
        "cluster.nodes[1].hostname",
        "expected a value of its own, nodes\\[0\\].address is the same",
    ],
    ...at(`${node}.internalAddress`, "expected an address by which other hosts reach", unreachable),
    ...at(`${node}.internalAddress`, "expected an address outside network.serviceClusterIpRange", { "among the services": "10.43.1.1" }),
    ...at(`${node}.user`, "expected a user name", notAUser),
    [
        "a node without a user",
        [
            ["ssh.user", undefined],
            [`${node}.user`, undefined],
        ],
        `${node}.user`,
        "expected the user that RKE logs in as",
    ],
    ...at(`${node}.hostKey`, "expected a host key", { missing: undefined }),
    ...at(`${node}.hostname`, /expected (a lower-case DNS name|at most 63)/, notANodeName),
    ["a name of two nodes", [[`cluster.nodes[1].hostname`, "node1"]], "cluster.nodes[1].hostname", "expected a value of its own"],
    ...at(`${node}.roles`, "expected at least one of", { "an empty list": [] }),
    ...at(`${node}.roles`, "expected each role once", { "a role twice": ["worker", "etcd", "worker", "controlplane"] }),
    ["a role of other tools", [[`${node}.roles`, ["master"]]], `${node}.roles[0]`, "expected one of"],
    ...Object.entries(notALabel).map(([what, value]): Row => [
        `a value of a label with ${what}`,
        [[`${node}.labels`, { zone: value }]],
        `${node}.labels.zone`,
        "expected at most 63",
    ]),
    ...Object.entries(notAKey).map(([what, key]): Row => [
        `a key of a label: ${what}`,
        [[`${node}.labels`, { [key]: "a" }]],
        `${node}.labels.${key}`,
        "expected a key that Kubernetes accepts",
    ]),
    ...Object.entries(notAKey).map(([what, key]): Row => [
        `a key of a taint: ${what}`,
        [[`${node}.taints`, [{ key, effect: "NoSchedule" }]]],
        `${node}.taints[0].key`,
        "expected a key that Kubernetes accepts",
    ]),
    ...Object.entries(notALabel).map(([what, value]): Row => [
        `a value of a taint with ${what}`,
        [[`${node}.taints`, [{ key: "a", value, effect: "NoSchedule" }]]],
        `${node}.taints[0].value`,
        "expected at most 63",
    ]),
    ["an unknown effect of a taint", [[`${node}.taints`, [{ key: "a", effect: "Never" }]]], `${node}.taints[0].effect`, "expected one of"],
    [
        "a taint twice",
        [[`${node}.taints`, [1, 2].map(value => ({ key: "a", value: String(value), effect: "NoSchedule" }))]],
        `${node}.taints`,
        "expected each key once",
    ],
    ["two nodes with etcd", [["cluster.nodes[2].roles", ["worker"]]], "cluster.nodes", "expected an odd number"],
    [
        "no control plane",
        [0, 1, 2].map(index => [`cluster.nodes[${index}].roles`, ["etcd", "worker"]]),
        "cluster.nodes",
        "with the role controlplane",
    ],
    [
        "no worker",
        [0, 1, 2].map(index => [`cluster.nodes[${index}].roles`, ["etcd", "controlplane"]]),
        "cluster.nodes",
        "with the role worker",
    ],
    [
        "an MTU for flannel",
        [["cluster.network", { plugin: "flannel", mtu: 1450 }]],
        "cluster.network.mtu",
        "expected 0 for the plugin flannel",
    ],
    ...at("cluster.network.plugin", "expected one of", { "of other tools": "cilium" }),
    ...at("cluster.network.mtu", /expected /, { ...notANumber, "1": 1, "575": 575, "65536": 65536 }),
    ...["clusterCidr", "serviceClusterIpRange"].flatMap(key =>
        at(`cluster.network.${key}`, /expected (an IPv4 range|the first address)/, {
            empty: "",
            "an address": "10.42.0.0",
            IPv6: "fd00::/56",
            "a range that begins in its middle": "10.42.0.1/16",
            "smaller than /24": "10.42.0.0/25",
            "a prefix too long": "10.42.0.0/33",
            "two ranges": "10.42.0.0/16,fd00::/56",
        }),
    ),
    ...["clusterCidr", "serviceClusterIpRange"].flatMap(key =>
        at(`cluster.network.${key}`, "expected a range apart from 0.0.0.0/8, 127.0.0.0/8", {
            unspecified: "0.0.0.0/16",
            loopback: "127.16.0.0/16",
            "around loopback": "96.0.0.0/3",
            "link-local": "169.254.0.0/16",
            multicast: "224.0.0.0/16",
            reserved: "240.0.0.0/16",
        }),
    ),
    ...at("cluster.network.serviceClusterIpRange", "expected a range of at most /12", { "of 11 bits": "10.64.0.0/11" }),
    ...["node-cidr-mask-size", "node-cidr-mask-size-ipv4"].map((flag): Row => [
        `too few ranges for nodes by ${flag}`,
        [
            ["cluster.network.clusterCidr", "10.42.0.0/22"],
            ["cluster.services.kubeController.extraArgs", { [flag]: "21" }],
        ],
        "cluster.network.clusterCidr",
        "expected room for a /21 for each of the 3 nodes",
    ]),
    ...at("cluster.network.clusterCidr", "expected room for a /24 for each of the 3 nodes", {
        "of one node": "10.42.0.0/24",
        "of two nodes": "10.42.0.0/23",
    }),
    [
        "ranges that overlap",
        [["cluster.network", { clusterCidr: "10.40.0.0/14", serviceClusterIpRange: "10.43.0.0/16" }]],
        "cluster.network.serviceClusterIpRange",
        "expected a range apart",
    ],
    ...["intervalHours", "retention"].flatMap(key => at(`cluster.etcdBackup.${key}`, /expected /, { ...notANumber, zero: 0 })),
    ...at("cluster.etcdBackup.s3", /expected /, { "a text": "etcd" }),
    ...at("cluster.caRotations", /expected /, { ...notANumber, "below zero": -1, "a half": 1.5, "more than 20": 21 }),
    ...["snapshot.name", "restore.snapshot", "rotateCertificates"].flatMap(key =>
        at(`cluster.${key}`, /expected /, {
            empty: "",
            "a number": 2026,
            "a path": "../etcd",
            "an option": "--config",
            "a blank": "before upgrade",
            "a line break": "before\n",
            "101 characters": long(101),
        }),
    ),
    ...["snapshot.name", "restore.snapshot"].flatMap(key =>
        at(`cluster.${key}`, "without .zip", { "the name of a file": "before-upgrade.zip" }),
    ),
    ...at("cluster.snapshot", /expected /, { "a text": "before-upgrade" }),
    [
        "a CA of S3 that is cut off",
        [["cluster.etcdBackup", { s3: { bucket: "etcd", caCertificate: "-----BEGIN CERTIFICATE-----\nMII" } }]],
        "cluster.etcdBackup.s3.caCertificate",
        "expected certificates as PEM text, and nothing else",
    ],
    [
        "a CA of S3 with its private key",
        [["cluster.etcdBackup", { s3: { bucket: "etcd", caCertificate: servedCa.certificate + servedCa.privateKey } }]],
        "cluster.etcdBackup.s3.caCertificate",
        "expected certificates as PEM text, and nothing else",
    ],
    [
        "an S3 key alone",
        [["cluster.etcdBackup", { s3: { bucket: "etcd", accessKey: "a" } }]],
        "cluster.etcdBackup.s3.secretKey",
        "expected a value beside accessKey",
    ],
    [
        "a URL for S3",
        [["cluster.etcdBackup", { s3: { bucket: "etcd", endpoint: "https://s3.example.com" } }]],
        "cluster.etcdBackup.s3.endpoint",
        "without https://",
    ],
    ...["cluster.etcdBackup", "rancher.backup"].flatMap(key => [
        ...at(`${key}.s3.bucket`, "expected the name of a bucket", {
            "upper case": "Etcd",
            "two letters": "ab",
            "an IPv4 address": "192.168.0.1",
            "two dots": "a..b",
            "a hyphen behind a dot": "a.-b",
            "a hyphen before a dot": "a-.b",
        }),
        ...at(`${key}.s3.endpoint`, "expected a host such as", {
            "two dots": "s3..example.com",
            "a hyphen at the end of a label": "s3-.example.com",
            "three octets": "192.0.2",
            "an IPv6 address": "2001:db8::5",
            "an IPv6 address in brackets": "[2001:db8::5]:9000",
        }),
    ]),
    ...at("cluster.ingressOptions", "expected use-forwarded-headers", { "no forwarded headers": { "use-forwarded-headers": "false" } }),
    ...at("cluster.ingressOptions", "expected names of options", {
        "a blank in a name": { "proxy body": "1m" },
        "an empty name": { "": "1m" },
    }),
    [
        "an option that is a number",
        [["cluster.ingressOptions", { "proxy-read-timeout": 60 }]],
        "cluster.ingressOptions.proxy-read-timeout",
        "expected string",
    ],
    ...at("cluster.network.interface", "expected the name of a network interface", {
        empty: "",
        "a blank": "eth 1",
        "a path": "../eth1",
        "16 characters": long(16),
    }),
    [
        "an interface for calico",
        [["cluster.network", { plugin: "calico", interface: "eth1" }]],
        "cluster.network.interface",
        "expected no interface for this plugin",
    ],
    [
        "an ingress on no worker",
        [["cluster.ingressNodeSelector", { zone: "b" }]],
        "cluster.ingressNodeSelector",
        "expected labels that at least one worker has",
    ],
    ...["kubeApi", "kubeController", "scheduler", "kubelet", "kubeproxy", "etcd"].flatMap(service => [
        ...["--v", "V", "", "a b", "v="].map((flag): Row => [
            `${service}: the flag ${JSON.stringify(flag)}`,
            [[`cluster.services.${service}.extraArgs`, { [flag]: "1" }]],
            `cluster.services.${service}.extraArgs.${flag}`,
            "expected the name of a flag",
        ]),
        ...["/lib/modules", "lib:/lib", "/a:/b\n"].map((bind): Row => [
            `${service}: the mount ${JSON.stringify(bind)}`,
            [[`cluster.services.${service}.extraBinds`, [bind]]],
            `cluster.services.${service}.extraBinds[0]`,
            "expected /on/the/node:",
        ]),
        ...["GOGC", "GO-GC=1", "A=1\nB=2"].map((variable): Row => [
            `${service}: the variable ${JSON.stringify(variable)}`,
            [[`cluster.services.${service}.extraEnv`, [variable]]],
            `cluster.services.${service}.extraEnv[0]`,
            /expected (NAME=value|one line)/,
        ]),
        ...at(`cluster.services.${service}.extraEnv`, "expected each name once", { "a name twice": ["A=1", "A=2"] }),
    ]),
    ...[
        ["kubeApi", "service-cluster-ip-range", "Use network.serviceClusterIpRange"],
        ["kubeApi", "audit-log-path", "Use services.kubeApi.auditLog"],
        ["kubeApi", "etcd-servers", "RKE needs its own value"],
        ["kubeController", "cluster-cidr", "Use network.clusterCidr"],
        ["kubeController", "root-ca-file", "RKE needs its own value"],
        ["scheduler", "kubeconfig", "RKE needs its own value"],
        ["kubelet", "cluster-domain", "Use services.kubelet.clusterDomain"],
        ["kubelet", "hostname-override", "Use nodes\\[\\].hostname"],
        ["kubeproxy", "cluster-cidr", "Use network.clusterCidr"],
        ["etcd", "initial-cluster", "RKE needs its own value"],
    ].map(([service, flag, expected]): Row => [
        `a flag of another argument: ${service} ${flag}`,
        [[`cluster.services.${service}.extraArgs`, { [flag]: "x" }]],
        `cluster.services.${service}.extraArgs.${flag}`,
        new RegExp(expected),
    ]),
    ...at("cluster.services.kubeApi.serviceNodePortRange", "expected two ports", {
        "one port": "30000",
        reversed: "32767-30000",
        "a port too large": "30000-70000",
        "an offset too large": "30000+40000",
        "two signs": "30000-+1",
        "port 0": "0-100",
    }),
    ...at("cluster.services.kubeApi.serviceNodePortRange", "expected a range without port 6443", {
        "the API server's port": "6000-7000",
        "the API server's port by an offset": "6000+443",
    }),
    ...["maxAgeDays", "maxBackup", "maxSizeMb"].flatMap(key =>
        at(`cluster.services.kubeApi.auditLog.${key}`, /expected /, { ...notANumber, zero: 0 }),
    ),
    ...at("cluster.services.kubeApi.auditLog.path", "expected a file in /var/log/kube-audit", {
        "another folder": "/var/log/audit.json",
        "a way out": "/var/log/kube-audit/../a",
    }),
    ...at("cluster.services.kubeApi.auditLog.policy", "expected an audit policy", {
        "no rules": { apiVersion: "audit.k8s.io/v1", kind: "Policy", rules: [] },
        "another version": { apiVersion: "audit.k8s.io/v1beta1", kind: "Policy", rules: [{ level: "None" }] },
    }),
    ...at("cluster.services.kubelet.clusterDomain", "expected a lower-case DNS name", { empty: "", "upper case": "Cluster.local" }),
    ...["maxUnavailableWorker", "maxUnavailableControlplane"].flatMap(key =>
        at(`cluster.upgradeStrategy.${key}`, "expected a number of nodes", { zero: "0", "0 %": "0%", "101 %": "101%", words: "all" }),
    ),
    [
        "options of a drain without a drain",
        [["cluster.upgradeStrategy.drain", false]],
        "cluster.upgradeStrategy.nodeDrainInput",
        "expected drain to be true",
    ],
    ...["gracePeriodSeconds", "timeoutSeconds"].flatMap(key =>
        at(`cluster.upgradeStrategy.nodeDrainInput.${key}`, /expected /, { ...notANumber, "a negative number": -2 }),
    ),
    ...at("cluster.privateRegistries[0].url", "expected a registry without a scheme", {
        empty: "",
        "a scheme": "https://registry.example.com",
        "a login": "user@registry.example.com",
        "port 0": "registry.example.com:0",
        "upper case in the path": "registry.example.com/Mirror",
        "a slash at the end": "registry.example.com/",
    }),
    [
        "a user without a password",
        [["cluster.privateRegistries[0].password", undefined]],
        "cluster.privateRegistries[0]",
        "expected user and password, or neither",
    ],
    [
        "a registry twice",
        [["cluster.privateRegistries", [{ url: "docker.io" }, { url: "docker.io" }]]],
        "cluster.privateRegistries[1].url",
        "expected each registry once",
    ],
    [
        "two default registries",
        [["cluster.privateRegistries", ["a.example.com", "b.example.com"].map(url => ({ url, isDefault: true }))]],
        "cluster.privateRegistries[1].isDefault",
        "expected one default registry",
    ],
    ...at("cluster.systemImages.coredns", "expected an image with its tag or digest", {
        empty: "",
        "no tag": "rancher/coredns",
        "a scheme": "https://registry.example.com/coredns:1",
        "upper case": "rancher/CoreDNS:1",
        "a short digest": "rancher/coredns@sha256:abc",
        "a blank": "rancher/core dns:1",
        "a port above the last": "registry.example.com:99999/rancher/coredns:1",
        "two dots": "registry.example.com/a..b/coredns:1",
        "two dots in the registry": "registry..com:5000/coredns:1",
        "an IPv6 address without brackets": "2001:db8::1/coredns:1",
    }),
    ...at("cluster.systemImages.core_dns", "expected one of etcd, alpine,", { "an unknown image": "rancher/coredns:1.9.4" }),
    ...at("cluster.systemImages.kubernetes", "expected an image with a tag of v1.30.14", { "another version": "a/hyperkube:v1.29.1" }),
    ...(
        [
            ["kubernetes_version", { kubernetes_version: "x" }, "Use kubernetesVersion"],
            ["nodes", { nodes: [] }, "Use nodes"],
            [
                "services.kubelet.extra_args.max-pods",
                { services: { kubelet: { extra_args: { "max-pods": "1" } } } },
                "Use services.kubelet.extraArgs",
            ],
            ["ingress.provider", { ingress: { provider: "none" } }, "Rancher needs the ingress controller"],
            [
                "services.etcd.backup_config.s3backupconfig.region",
                { services: { etcd: { backup_config: { s3backupconfig: { region: "x" } } } } },
                "Use etcdBackup",
            ],
            ["rotate_encryption_key", { rotate_encryption_key: true }, "each run of RKE would repeat"],
            ["addons_include[0]", { addons_include: ["./addons.yaml"] }, "expected a URL or a whole path"],
        ] as const
    ).map(([key, extra, expected]): Row => [
        `an own key in extraConfig: ${key}`,
        [["cluster.extraConfig", extra]],
        `cluster.extraConfig.${key}`,
        expected,
    ]),
    ...at("cluster.apiEndpoint", "expected a", notAnEndpoint),
    ...at("cluster.apiEndpoint", "not a loopback address", { loopback: "https://127.0.0.1:6443", localhost: "https://localhost:6443" }),
    ...Object.entries(notAnEndpoint).map(([what, apiEndpoint]): Row => [
        `endpoint of an existing cluster: ${what}`,
        [
            ["cluster", undefined],
            ["existingCluster", { kubeconfig: kubeconfigOf(), ingressAddresses: ["192.0.2.41"], apiEndpoint }],
        ],
        "existingCluster.apiEndpoint",
        /expected (an https URL such as|a URL without user, path and query|a port)/,
    ]),
    [
        "a wrong name for the API server",
        [["cluster.apiServerSans", ["*.example.com"]]],
        "cluster.apiServerSans[0]",
        "expected an IP address or a DNS name",
    ],
    ...["cluster.addonJobTimeoutSeconds", "cluster.timeoutSeconds", "rancher.timeoutSeconds"].flatMap(key =>
        at(key, /expected /, { ...notANumber, zero: 0 }),
    ),
    ...at("cluster.drift", "expected one of", { "another word": "fix" }),

    ...at("rancher.chartVersion", "expected one exact version", {
        empty: "",
        "with v": "v2.11.3",
        "a range": "~2.11",
        latest: "latest",
        "a minor": "2.11",
    }),
    ...at("rancher.chartVersion", "expected a Rancher", { "too old": "2.8.5", "not on RKE": "2.12.1" }),
    ...at("rancher.repository", "expected the URL", { empty: "", "a name": "rancher-stable", "a file": "file:///charts" }),
    [
        "a repository and a path",
        [
            ["rancher.repository", "https://charts.example.com"],
            ["rancher.chartPath", "rancher.tgz"],
        ],
        "rancher.chartPath",
        "expected either repository or chartPath",
    ],
    ...at("rancher.chartPath", "expected at least 1 character", { empty: "" }),
    ...at("rancher.repository", "expected the whole reference of the chart, such as oci://", {
        "a folder of charts": "oci://registry.example.com/charts",
        "a version": "oci://registry.example.com/charts/rancher:2.11.3",
        "a slash at the end": "oci://registry.example.com/charts/rancher/",
        "no path": "oci://registry.example.com",
        "a login in an OCI reference": "oci://puller:hunter2@registry.example.com/rancher",
        "upper case": "oci://registry.example.com/Charts/rancher",
        "two dots": "oci://registry.example.com/a..b/rancher",
        "a hyphen at the beginning": "oci://registry.example.com/-a/rancher",
        "a letter beyond ASCII": "oci://registry.example.com/ä/rancher",
    }),
    [
        "a CA of no repository",
        [
            ["rancher.repository", undefined],
            ["rancher.repositoryOpts", { caFile: "ca.pem" }],
        ],
        "rancher.repositoryOpts",
        "expected an https URL or an OCI registry as repository beside them",
    ],
    [
        "a login in clear text",
        [
            ["rancher.repository", "http://charts.example.com"],
            ["rancher.repositoryOpts", { username: "puller", password: "hunter2" }],
        ],
        "rancher.repositoryOpts",
        "expected an https URL or an OCI registry as repository beside them",
    ],
    [
        "a CA that the provider would ignore",
        [
            ["rancher.repository", "oci://registry.example.com:5000/charts/rancher"],
            ["rancher.repositoryOpts", { caFile: "ca.pem" }],
        ],
        "rancher.repositoryOpts.caFile",
        "expected a login beside the CA of an OCI registry, .* provider ignores it alone\\. Add username and password, or let the machine",
    ],
    ...["username", "password", "caFile"].map((key): Row => [
        `an empty ${key} of a repository`,
        [
            ["rancher.repository", "https://charts.example.com"],
            ["rancher.repositoryOpts", { username: "puller", password: "hunter2", [key]: "" }],
        ],
        `rancher.repositoryOpts.${key}`,
        "expected at least 1 character",
    ]),
    ...["username", "password"].map((key): Row => [
        `a repository's login without ${key}`,
        [
            ["rancher.repository", "https://charts.example.com"],
            ["rancher.repositoryOpts", { username: "puller", password: "hunter2", [key]: undefined }],
        ],
        `rancher.repositoryOpts.${key}`,
        "expected both username and password",
    ]),
    ...at("rancher.replicas", /expected /, { zero: 0, "not a number": NaN, huge: 1000, "a fraction": 1.5 }),
    ...at("rancher.agentTlsMode", "expected one of", { "another word": "loose" }),
    ...at("rancher.additionalTrustedCAs", /expected (PEM text|certificates only|CA certificates)|has expired/, {
        empty: "",
        "a switch as text": "true",
        "a private key": issue({ name: "CA", ca: true }).privateKey,
        "a server's certificate": issue({ name: "leaf", by: issue({ name: "CA", ca: true }) }).certificate,
        "an expired CA": issue({ name: "CA", ca: true, days: -1 }).certificate,
    }),
    ...at("rancher.values.additionalTrustedCAs", "rancher.additionalTrustedCAs", { "without the certificates": true }),
    [
        "a mount of additional CAs switched off beside the certificates",
        [
            ["rancher.additionalTrustedCAs", issue({ name: "CA", ca: true }).certificate],
            ["rancher.values.additionalTrustedCAs", false],
        ],
        "rancher.values.additionalTrustedCAs",
        "expected nothing beside rancher.additionalTrustedCAs",
    ],
    ...at("rancher.bootstrapPassword", "expected at most 72 bytes", { "73 letters": long(73), "37 letters of two bytes": "ä".repeat(37) }),
    ...at("rancher.bootstrapPassword", "expected at least 12 characters", { short: "hunter2", "a blank": " " }),
    ...at("rancher.proxy", "expected an http or https URL", {
        empty: "",
        "no scheme": "proxy.example.com:3128",
        "another scheme": "socks5://proxy.example.com:1080",
        "a path": "http://proxy.example.com/proxy.pac",
        "a blank": "http://proxy.example.com #",
        "a colon at the end": "http://proxy.example.com:",
        "no host": "http://:3128",
        "a password in the query": "http://proxy.example.com?user=me",
    }),
    ...at("rancher.noProxy[0]", "expected one address, range or DNS name", {
        empty: "",
        "two in one": "192.0.2.1,192.0.2.2",
        everything: "*",
        "a URL": "http://192.0.2.1",
        "a range of 33 bits": "192.0.2.0/33",
        "a star in the middle": "a.*.example.com",
        "a port above the last": "192.0.2.1:99999",
        "port 0": "example.com:0",
        "a port beside an IPv6 address in brackets, above the last": "[2001:db8::1]:65536",
        "brackets without a port": "[2001:db8::1]",
        "an IPv4 address in brackets": "[192.0.2.1]:443",
    }),
    ["exceptions without a proxy", [["rancher.proxy", undefined]], "rancher.proxy", "expected a proxy beside noProxy"],
    ...["proxy", "noProxy"].map((key): Row => [
        `the chart's value ${key} beside the argument`,
        [[`${values}.${key}`, "http://proxy.example.com:3128"]],
        `${values}.${key}`,
        `Use the argument ${key}.`,
    ]),
    [
        "an audit log that is off in this chart",
        [
            ["rancher.values", { auditLog: { level: 2 } }],
            ["rancher.chartVersion", "2.12.1"],
            ["cluster", undefined],
            ["existingCluster", { kubeconfig: kubeconfigOf(), ingressAddresses: ["192.0.2.41"], kubernetesVersion: "v1.32.4" }],
        ],
        `${values}.auditLog.enabled`,
        "expected true",
    ],
    [
        "a value of newer charts",
        [[values, { auditLog: { enabled: true, level: 1 } }]],
        `${values}.auditLog.enabled`,
        "expected a chart of Rancher 2.12 or later",
    ],
    ["a level of the audit log too high", [[values, { auditLog: { level: 4 } }]], `${values}.auditLog.level`, "expected at most 3"],
    [
        "a variable twice",
        [[values, { extraEnv: [{ name: "A", value: "1" }, { name: "B" }, { name: "A", value: "2" }] }]],
        `${values}.extraEnv[2].name`,
        "expected a name of its own",
    ],
    [
        "a variable with a value and a source",
        [[values, { extraEnv: [{ name: "A", value: "1", valueFrom: { secretKeyRef: {} } }] }]],
        `${values}.extraEnv[0]`,
        "expected either value or valueFrom",
    ],
    ...["", "1A", "A B", "A=B", "Ä"].map((name): Row => [
        `a variable "${name}"`,
        [[values, { extraEnv: [{ name }] }]],
        `${values}.extraEnv[0].name`,
        "expected a name of letters",
    ]),
    ...["PULUMI_RANCHER_HA_CA_SHA256", "PULUMI_RANCHER_HA_ADDITIONAL_CAS_SHA256"].map((name): Row => [
        `the stack's variable ${name}`,
        [[values, { extraEnv: [{ name }] }]],
        `${values}.extraEnv[0].name`,
        "expected another name",
    ]),
    ...Object.entries({
        CATTLE_NAMESPACE: "Remove it",
        CATTLE_PEER_SERVICE: "Remove it",
        IMPERATIVE_API_DIRECT: "Remove it",
        IMPERATIVE_API_APP_SELECTOR: "Remove it",
        CATTLE_BOOTSTRAP_PASSWORD: "Use rancher.bootstrapPassword, or make that an empty string",
        CATTLE_AGENT_TLS_MODE: "Use rancher.agentTlsMode",
        CATTLE_FEATURES: "Use rancher.values.features",
        HTTP_PROXY: "Use rancher.proxy",
        HTTPS_PROXY: "Use rancher.proxy",
        NO_PROXY: "Use rancher.noProxy",
    }).map(([name, instead]): Row => [
        `the chart's variable ${name}`,
        [[`${values}.extraEnv`, [{ name: "A" }, { name }]]],
        `${values}.extraEnv[1].name`,
        `expected another name than ${name}, which the chart itself sets. ${instead}.`,
    ]),
    ...Object.entries<[string, object | string | boolean]>({
        AUDIT_LEVEL: ["auditLog", { level: 1 }],
        AUDIT_LOG_MAXSIZE: ["auditLog", { level: 3 }],
        CACHE_SYNC_TIMEOUT: ["cacheSyncTimeout", "5m"],
        CATTLE_NO_DEFAULT_ADMIN: ["noDefaultAdmin", true],
        CATTLE_SYSTEM_CATALOG: ["useBundledSystemChart", true],
        CATTLE_SYSTEM_DEFAULT_REGISTRY: ["systemDefaultRegistry", "registry.example.com"],
    }).map(([name, [key, value]]): Row => [
        `the chart's variable ${name} beside values.${key}`,
        [[values, { [key]: value, extraEnv: [{ name }] }]],
        `${values}.extraEnv[0].name`,
        `Use rancher.values.${key}.`,
    ]),
    ...at(`${values}.features`, "expected features", {
        "no value": "fleet",
        "another value": "fleet=no",
        "a semicolon": "fleet=true;harvester=false",
    }),
    ...at(`${values}.priorityClassName`, "expected a lower-case DNS name", { "upper case": "High", empty: "" }),
    ...at(`${values}.hostPort`, /expected at (most|least)/, { "65536": 65536, negative: -1 }),
    [
        "a secret for pulling without a name",
        [[values, { imagePullSecrets: [{ name: "" }] }]],
        `${values}.imagePullSecrets[0].name`,
        "expected a lower-case DNS name",
    ],
    ...at(`${values}.rancherImage`, "expected an image without scheme and tag", {
        empty: "",
        "a blank": "rancher/ran cher",
        "upper case": "registry.example.com/Rancher/rancher",
        "a scheme": "https://registry.example.com/rancher/rancher",
        "a tag": "rancher/rancher:v2.11.3",
        "a port above the last": "registry.example.com:99999/rancher",
    }),
    ...at(`${values}.rancherImageTag`, "expected a tag", { "a blank": "a b", "a colon": ":v2.11.3", "129 characters": long(129) }),
    ...at(`${values}.postDelete.image.repository`, "expected an image without scheme and tag", { "upper case": "rancher/Shell" }),
    ...at(`${values}.postDelete.image.tag`, "expected a tag", { "a blank": "v0 4" }),
    [
        "a namespace with a blank",
        [[values, { postDelete: { namespaceList: ["cattle system"] } }]],
        `${values}.postDelete.namespaceList[0]`,
        "expected a lower-case DNS name",
    ],
    ...at(`${values}.systemDefaultRegistry`, "expected a registry without a scheme", {
        "a scheme": "https://registry.example.com",
        "a slash at the end": "registry.example.com/",
        "a port above the last": "registry.example.com:99999",
        "upper case in the path": "registry.example.com/Mirror",
        "a blank": "registry example.com",
        "an address that is none in brackets": "[192.0.2.1]:5000",
    }),
    ...at(`${values}.topologyKey`, "expected a key that Kubernetes accepts", { "a blank": "bad key!" }),
    ...at(`${values}.ingress.ingressClassName`, "expected a lower-case DNS name, or an empty string", { "a blank": "Bad Class" }),
    ...["ingress.extraAnnotations", "service.annotations"].flatMap(group =>
        Object.entries(notAKey)
            .filter(([, key]) => key !== "" && key !== "Example.com/zone")
            .map(([what, key]): Row => [
                `the key of an annotation in ${group}: ${what}`,
                [[values, { [group.split(".")[0]]: { [group.split(".")[1]]: { [key]: "x" } } }]],
                `${values}.${group}.${key}`,
                "expected a key that Kubernetes accepts",
            ]),
    ),
    ...at(`${values}.auditLog.hostPath`, "expected an absolute path on the node", {
        empty: "",
        relative: "var/log/rancher",
        "a step back": "/var/log/../rancher",
    }),
    ["a path of the Ingress", [[values, { ingress: { path: "rancher" } }]], `${values}.ingress.path`, "expected a path that begins with /"],
    ["a path type of the Ingress", [[values, { ingress: { pathType: "Regex" } }]], `${values}.ingress.pathType`, "expected Exact, Prefix"],
    ["a type of the Service", [[values, { service: { type: "Internal" } }]], `${values}.service.type`, "expected ClusterIP"],
    ...["2 GB", "-1", "lots", "2gi", ".", "1e", "1.2.3"].map((memory): Row => [
        `a quantity "${memory}"`,
        [[values, { resources: { limits: { memory } } }]],
        `${values}.resources.limits.memory`,
        "expected a quantity",
    ]),
    ...["me mory", "gpu", "example.com/", "nvidia.com/g pu"].map((name): Row => [
        `a resource "${name}"`,
        [[values, { resources: { limits: { [name]: "1" } } }]],
        `${values}.resources.limits.${name}`,
        "expected cpu, memory",
    ]),
    ...(
        [
            ["memory", "4Gi", "4096M"],
            ["cpu", "1", "999m"],
            ["memory", "1e10", "9G"],
            ["memory", "1Ei", "1E"],
        ] as const
    ).map(([name, request, limit]): Row => [
        `a request ${request} above the limit ${limit}`,
        [[values, { auditLog: { resources: { limits: { [name]: limit }, requests: { [name]: request } } } }]],
        `${values}.auditLog.resources.requests.${name}`,
        `expected at most the limit ${limit}`,
    ]),
    ...Object.entries<[object, string, string]>({
        "an unknown key": [{ kee: "a" }, "kee", "no such key"],
        "an unknown operator": [{ key: "a", operator: "Equals" }, "operator", "expected one of"],
        "no key": [{ value: "b" }, "key", "expected a key, or the operator Exists"],
        "a wrong key": [{ key: "bad key!" }, "key", "expected a key that Kubernetes accepts"],
        "a value for Exists": [{ key: "a", operator: "Exists", value: "b" }, "value", "expected no value"],
        "an unknown effect": [{ key: "a", effect: "Never" }, "effect", "expected one of"],
        "seconds for another effect": [{ key: "a", effect: "NoSchedule", tolerationSeconds: 60 }, "effect", "expected NoExecute"],
    }).map(([what, [toleration, key, expected]]): Row => [
        `a toleration with ${what}`,
        [[`${values}.extraTolerations`, [toleration]]],
        `${values}.extraTolerations[0].${key}`,
        expected,
    ]),
    ...[
        "hostname",
        "replicas",
        "tls",
        "bootstrapPassword",
        "privateCA",
        "extraEnv",
        "agentTLSMode",
        "addLocal",
        "nameOverride",
        "proxy",
        "noProxy",
    ].map((key): Row => [
        `additional values that set ${key}`,
        [["rancher.additionalValues", { [key]: "x" }]],
        `rancher.additionalValues.${key}`,
        "expected a value that nothing else sets",
    ]),
    ...at("rancher.telemetry", "expected one of", { "another word": "yes" }),
    [
        "telemetry for a Rancher that has none",
        [["rancher.telemetry", "out"]],
        "rancher.telemetry",
        /expected no choice for Rancher 2\.11\.3: .* Leave it out/,
    ],
    ...at("rancher.eulaAgreed", "expected a time in UTC", { "no time": "yes", "a local time": "2025-06-30T12:00:00+02:00" }),
    ...at("rancher.backup.chartVersion", "expected one exact version", { "a range": "106.x", "the operator's own version": "7.0.2" }),
    ...at("rancher.backup.chartVersion", "expected a version 106.x.y\\+up7.x.y of the backup charts", {
        "for an older Rancher": "105.0.1+up6.0.1",
        "for a newer Rancher": "107.0.0+up8.0.0",
    }),
    ...at("rancher.backup.repository", "expected the URL", { "a name": "rancher-charts" }),
    ...at("rancher.backup.repository", "expected the folder of the charts, such as oci://", {
        "upper case": "oci://registry.example.com/Charts",
        "a slash at the end": "oci://registry.example.com/charts/",
    }),
    ...at("rancher.backup.chartPath", /expected (either|both)/, { "beside a repository": "rancher-backup.tgz" }),
    [
        "one of two charts",
        [["rancher.backup.crdChartPath", "crd.tgz"]],
        "rancher.backup.chartPath",
        "expected both chartPath and crdChartPath",
    ],
    ...at("rancher.backup.schedule", /expected /, {
        empty: "",
        "four fields": "0 2 * *",
        "minute 60": "60 2 * * *",
        "a Sunday as 7": "0 2 * * 7",
        "a day that never occurs": "0 2 31 apr,jun *",
        "an interval without a unit": "@every 12",
    }),
    ...at("rancher.backup.retentionCount", /expected (number|whole number|at most|at least)/, { none: 0, ...notANumber }),
    ...at("rancher.backup.encryptionKey", "expected 32 random bytes in base64", {
        "a password": "hunter2hunter2",
        "16 bytes": Buffer.alloc(16).toString("base64"),
    }),
    ...at("rancher.backup.s3", "expected exactly one of s3 and volume, found neither", { missing: undefined }),
    [
        "backups in a bucket and on a volume",
        [["rancher.backup.volume", { name: "backups", size: "10Gi" }]],
        "rancher.backup.s3",
        "expected exactly one of s3 and volume, found both",
    ],
    ...at("rancher.backup.s3.secretKey", "expected a value beside accessKey", { missing: undefined }),
    ...at("rancher.backup.s3.endpoint", "expected a host", { "a URL": "https://s3.example.com" }),
    ...at("rancher.backup.s3.endpoint", "expected a port from 1 to 65535", { "a port above the last": "s3.example.com:99999" }),
    ...["name", "size"].map((key): Row => [
        `a volume without ${key}`,
        [
            ["rancher.backup.s3", undefined],
            ["rancher.backup.volume", { name: "backups", size: "10Gi", [key]: undefined }],
        ],
        `rancher.backup.volume.${key}`,
        "expected string",
    ]),
    ...["s3", "persistence"].map((key): Row => [
        `values of the backup chart that set ${key}`,
        [["rancher.backup.values", { [key]: { enabled: true } }]],
        `rancher.backup.values.${key}`,
        "expected nothing here",
    ]),
    ...at("verification.enabled", "expected boolean", { "another word": "off" }),
    ...at("verification.timeoutSeconds", /expected (number|whole number|at most|at least)/, { "an hour": 3600, ...notANumber }),
    ...["warn", "fail"].map((liveCheck): Row => [
        `the live check ${liveCheck} without the verification`,
        [
            ["verification", { enabled: false }],
            ["liveCheck", liveCheck],
        ],
        "liveCheck",
        "expected off beside verification.enabled: false",
    ]),
    ...at("liveCheck", "expected one of", { "another word": "enforce" }),

    ...Object.entries<[object, RegExp | string]>({
        certificateChain: [{ certificateChain: served.privateKey }, /expected /],
        "certificateChain ": [{ certificateChain: issue({ name: "other.example.com" }).certificate }, "expected a certificate for rancher"],
        privateKey: [{ privateKey: sshKey }, /expected /],
        "privateKey ": [{ privateKey: undefined }, "expected string"],
        caCertificate: [{ caCertificate: "ca.pem" }, /expected /],
        secondCertificate: [{ secondCertificate: "second.pem" }, "expected object"],
        "secondCertificate.privateKey": [{ secondCertificate: { certificateChain: served.certificateChain } }, "expected string"],
        certificateFile: [{ certificateFile: "/a.pem" }, "no such key"],
    }).map(([key, [change, expected]]): Row => [
        `a provided certificate with a wrong ${key}`,
        [
            ["privateCa", undefined],
            ["certificate", { ...served, ...change }],
        ],
        `certificate.${key.trim()}`,
        expected,
    ]),
    ...["caValidityHours", "certificateValidityHours", "renewBeforeHours"].flatMap(key =>
        at(`privateCa.${key}`, /expected /, { "not a number": NaN, zero: 0, "a fraction": 1.5 }),
    ),
    ...at("privateCa.caValidityHours", /expected at most/, { "three hundred years": 2_628_000 }),
    ...at("privateCa.certificateValidityHours", "expected at most 9504", { "ten years": 87600 }),
    ...at("privateCa.renewBeforeHours", "expected less than certificateValidityHours", { "as long as the certificate": 8760 }),
    ...at("privateCa.commonName", /expected at least 1|expected at most 64/, { empty: "", "65 characters": long(65) }),
    [
        "a DNS name of the certificate",
        [["privateCa.dnsNames", ["*.example.com"]]],
        "privateCa.dnsNames[0]",
        "expected a lower-case DNS name",
    ],
    [
        "an address of the certificate",
        [["privateCa.ipAddresses", ["rancher.example.com"]]],
        "privateCa.ipAddresses[0]",
        "expected an IP address",
    ],
    ...["etc/a.pem", "/etc/a b.pem", "/", "/etc/ssl/", "/etc/$a.pem", "~/a.pem", "/etc/../a.pem"].map((path): Row => [
        `a path ${path}`,
        [["certificateOnHost", { certificateChain: path, privateKey: "/a.key" }]],
        "certificateOnHost.certificateChain",
        "expected an absolute path",
    ]),

    ...(
        [
            ["an empty list", [], "expected at least one address"],
            ["an address twice", ["192.0.2.41", "192.0.2.41"], "expected each address once"],
            ["an address in two forms", ["2001:db8::1", "2001:0DB8:0:0::1"], "expected each address once"],
        ] as const
    ).map(([what, ingressAddresses, expected]): Row => [
        `ingress addresses: ${what}`,
        [
            ["cluster", undefined],
            ["existingCluster", { kubeconfig: kubeconfigOf(), ingressAddresses }],
        ],
        "existingCluster.ingressAddresses",
        expected,
    ]),
    inKubeconfig("the path of a file", "~/.kube/config", "", /expected a kubeconfig as YAML text, .* Give the content of the file/),
    inKubeconfig("empty", "", "", "expected a kubeconfig as YAML text"),
    inKubeconfig(
        "a current context that names nothing",
        kubeconfigOf({}, {}, { "current-context": "other" }),
        ".current-context",
        /^\S+ expected the name of a context in contexts, found "other"\.$/,
    ),
    inKubeconfig("no current context", kubeconfigOf({}, {}, { "current-context": "" }), ".current-context", "found nothing"),
    inKubeconfig(
        "no clusters",
        kubeconfigOf({}, {}, { clusters: [] }),
        ".contexts[0].context.cluster",
        'expected the name of a cluster in clusters, found "default"',
    ),
    inKubeconfig(
        "no users",
        kubeconfigOf({}, {}, { users: null }),
        ".contexts[0].context.user",
        'expected the name of a user in users, found "default"',
    ),
    inKubeconfig(
        "a context without a user",
        kubeconfigOf({}, {}, { contexts: [{ name: "default", context: { cluster: "default" } }] }),
        ".contexts[0].context.user",
        "found nothing",
    ),
    inKubeconfig("no context in the list", kubeconfigOf({}, {}, { contexts: [null] }), ".contexts[0]", "expected object, found null"),
    inKubeconfig(
        "contexts as a map",
        kubeconfigOf({}, {}, { contexts: { default: { cluster: "default" } } }),
        ".contexts",
        "expected list, found an object",
    ),
    inKubeconfig(
        "a name twice",
        kubeconfigOf({}, {}, { users: [{ name: "default" }, { name: "default" }] }),
        ".users[1].name",
        'expected each name once, found "default"',
    ),
    ...Object.entries({
        "without a scheme": "192.0.2.41:6443",
        "of another protocol": "ssh://192.0.2.41",
        missing: undefined,
        "with a blank": "https://192.0.2.41 :6443",
    }).map(([what, server]) =>
        inKubeconfig(`a server ${what}`, kubeconfigOf({ server }), ".clusters[0].cluster.server", "expected an http or https URL"),
    ),
    inKubeconfig(
        "a server that is a number",
        kubeconfigOf({ server: 19202 }),
        ".clusters[0].cluster.server",
        "expected string, found a number",
    ),
    ...Object.entries({
        "that is no base64": "-----BEGIN CERTIFICATE-----",
        "that is no PEM": base64("certificate"),
        "that cannot be read": base64("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        "that is a key": base64(sshKey),
    }).map(([what, ca]) =>
        inKubeconfig(
            `a CA ${what}`,
            kubeconfigOf({ "certificate-authority-data": ca }),
            ".clusters[0].cluster.certificate-authority-data",
            /expected (base64|a certificate in PEM, in base64), found another text\.$/,
        ),
    ),
    ...[{ "certificate-authority-data": someCa }, { "certificate-authority": "/ca.pem" }].map(ca =>
        inKubeconfig(
            `insecure beside ${Object.keys(ca).join()}`,
            kubeconfigOf({ "insecure-skip-tls-verify": true, ...ca }),
            ".clusters[0].cluster.insecure-skip-tls-verify",
            "expected false beside a certificate authority, found true. Remove one.",
        ),
    ),
    inKubeconfig(
        "a CA and its file",
        kubeconfigOf({ "certificate-authority-data": someCa, "certificate-authority": "/ca.pem" }),
        ".clusters[0].cluster.certificate-authority",
        "expected nothing beside certificate-authority-data, found both. Remove one.",
    ),
    inKubeconfig(
        "a client certificate without its key",
        kubeconfigOf({}, { "client-certificate-data": someCa }),
        ".users[0].user.client-key-data",
        "expected the key of the client certificate, found nothing",
    ),
    inKubeconfig(
        "a client certificate in place of the key",
        kubeconfigOf({}, { "client-certificate-data": someCa, "client-key-data": someCa }),
        ".users[0].user.client-key-data",
        "expected a private key in PEM, in base64, found another text.",
    ),
    inKubeconfig(
        "a token beside a password",
        kubeconfigOf({}, { token: "t", username: "admin", password: "p" }),
        ".users[0].user.username",
        "expected no login beside a token, found both. Remove one.",
    ),
    ...refusedKubeconfigs.map(row => inKubeconfig(...row)),
    ...["127.0.0.1", "127.1.2.3", "localhost", "localhost.", "0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]"].map(name =>
        inKubeconfig(`the loopback address ${name}`, kubeconfigOf({ server: `https://${name}:6443` }), "", "found a loopback address"),
    ),
    ...Object.values({ ...unreachable, name: "node1.example.com", link: "fe80::1", mapped: "::ffff:127.0.0.1" }).map((address): Row => [
        `an ingress address ${address}`,
        [
            ["cluster", undefined],
            ["existingCluster", { kubeconfig: kubeconfigOf(), ingressAddresses: [address] }],
        ],
        "existingCluster.ingressAddresses[0]",
        /expected (the address of a node|an IP address)/,
    ]),
];

/** Returns a value of another type than the given one. */
const ofAnotherType = (value: unknown) => (typeof value === "string" || Array.isArray(value) ? { a: 1 } : "text");

/** One row for each key of `validConfiguration`, with a value of a wrong type. */
const typeRows: Row[] = valuesOf(validConfiguration())
    .filter(([path]) => !/\.(additionalValues|extraConfig|policy|backup\.values)\./.test(path))
    .map(([path, value]) => [`a wrong type: ${path}`, [[path, ofAnotherType(value)]], path, "expected"]);

/** One row for each object, with a key that no schema knows. */
const unknownKeyRows: Row[] = ["", ...valuesOf(validConfiguration()).flatMap(([path, value]) => (isGroup(value) ? [path] : []))]
    .filter(
        path =>
            !/\.(labels|ingressOptions|ingressNodeSelector|extraArgs|systemImages|policy([.[].*)?|extraConfig(\..*)?|(additionalValues|backup\.values)(\..*)?|limits|requests)$/.test(
                path,
            ),
    )
    .map(path => {
        const key = `${path && `${path}.`}unknownKey`;
        return [`an unknown key: ${key}`, [[key, 1]], key, "no such key"];
    });

const changed = (changes: Row[1]) =>
    changes.reduce((configuration, [path, value]) => changeAt(configuration, path, value), validConfiguration());

function isGroup(value: unknown): boolean {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

test("the configuration that the rows change is accepted", () => expect(refusal(validConfiguration())).toEqual([]));

/** Values at the edge of a rule that the tools behind the schema take. */
const taken: [path: string, values: unknown[]][] = [
    ["cluster.network.clusterCidr", ["8.0.0.0/7", "100.64.0.0/10"]],
    ["cluster.network.serviceClusterIpRange", ["172.16.0.0/12"]],
    ["rancher.values.resources.limits.memory", [".5Gi", "5.", "+5", "1e9", "1E-1", "0.5", "100n"]],
    ["rancher.values.resources.limits", [{ "example.com/gpu": "1" }, { "hugepages-2Mi": "4Mi" }, { cpu: "0.7" }]],
    [
        "rancher.values.resources",
        [
            { limits: { cpu: "0.7" }, requests: { cpu: "700m" } },
            { limits: { memory: "1Gi" }, requests: { memory: "1024Mi" } },
        ],
    ],
    [
        "rancher.values.extraTolerations",
        [
            [{ operator: "Exists" }],
            [{ key: "a", effect: "NoExecute", tolerationSeconds: 60 }],
            [{ key: "a", operator: "Equal", value: "b" }],
        ],
    ],
    ["rancher.bootstrapPassword", [long(72), long(12), ""]],
    [
        "rancher.values",
        [
            {
                auditLog: { level: 0 },
                features: "",
                extraEnv: ["AUDIT_LEVEL", "CACHE_SYNC_TIMEOUT", "CATTLE_FEATURES", "cattle_namespace"].map(name => ({ name })),
            },
        ],
    ],
    [
        "rancher",
        [
            {
                chartVersion: "2.11.3",
                bootstrapPassword: "",
                values: { extraEnv: [{ name: "CATTLE_BOOTSTRAP_PASSWORD" }, { name: "NO_PROXY" }] },
            },
        ],
    ],
    ["rancher.backup.schedule", ["@every 1.5h"]],
    ["cluster.services.kubeApi.serviceNodePortRange", ["30000+2767", "6000+442"]],
    [`${host}.hostKey`, [" ", "  ", "\t", " \t "].map(blanks => hostKey.replace(" ", blanks))],
    ["rancher.backup.s3.bucket", ["xn--bucket", "a.b-c", "1.2.3"]],
    ["cluster.etcdBackup.s3.endpoint", ["192.0.2.5", "S3.example.com:443", "minio:9000"]],
    ["rancher.noProxy[0]", ["2001:db8::1", "::1", "fd00::5", "[2001:db8::1]:443", "192.0.2.1:443", "example.com:80", "*.example.com:80"]],
];

test("the certificate that the rows change is accepted", () =>
    expect(refusal(changeAt(changeAt(validConfiguration(), "privateCa", undefined), "certificate", served))).toEqual([]));

test("nodes that get smaller ranges than /24 fit into a smaller range", () => {
    const flags = { "node-cidr-mask-size": "26" };
    const given = changeAt(validConfiguration(), "cluster.network.clusterCidr", "10.42.0.0/24");
    expect(refusal(changeAt(given, "cluster.services.kubeController.extraArgs", flags))).toEqual([]);
});

test.each(["  ", "\t"])("a host key with %j between its parts becomes one with a blank", blanks =>
    expect(hostKeySchema.parse(`${hostKey.replace(" ", blanks)}\n`)).toBe(hostKey),
);

test.each(taken.flatMap(([path, list]) => list.map((value): [string, unknown] => [path, value])))("%s takes %j", (path, value) =>
    expect(refusal(changeAt(validConfiguration(), path, value))).toEqual([]),
);

describe("a wrong value is refused, and its key is named", () => {
    test("at least 250 kinds are tried", () => {
        expect(new Set(rows.map(([name]) => name)).size).toBe(rows.length);
        expect(rows.length).toBeGreaterThanOrEqual(250);
    });

    test.each([...rows, ...typeRows, ...unknownKeyRows])("%s", (_, changes, key, expected) => {
        const lines = refusal(changed(changes));
        const named = lines.filter(line => line.startsWith(`${key}: `));
        expect(named).toEqual(expect.arrayContaining([expect.stringMatching(expected)]));
    });
});

describe("a host is contacted only by a command or an invoke", () => {
    /** Builds the stack of a configuration. Returns the types of its resources and its invokes, and whether the stack was refused. */
    async function built(configuration: any): Promise<{ contacts: string[]; isRefused: boolean }> {
        const contacts: string[] = [];
        const options = {
            mock: (args: Parameters<typeof mock>[0]) => (contacts.push(args.type), mock(args)),
            call: ({ token }: { token: string }) => (contacts.push(token), call()),
        };
        const isRefused = await record(() => new RancherHa("rancher", configuration), options).then(
            () => false,
            () => true,
        );
        return { contacts, isRefused };
    }

    test("of which a valid configuration makes some", async () => {
        const { contacts, isRefused } = await built(validConfiguration());
        expect(isRefused).toBe(false);
        expect(contacts).toEqual(expect.arrayContaining(["command:remote:Command", "command:local:Command", "command:local:run"]));
    });

    test("of which no wrong one makes any: the component itself is all that is registered", async () => {
        for (const [name, changes] of [...rows, ...typeRows, ...unknownKeyRows])
            expect({ name, ...(await built(changed(changes))) }).toEqual({
                name,
                contacts: ["pulumi:pulumi:Stack", "pulumi-rancher-ha:index:RancherHa"],
                isRefused: true,
            });
    }, 300_000);
});

test.each<[string, unknown]>([
    ["rancher.repository", "ftp://user:hunter2@charts.example.com"],
    ["cluster.apiEndpoint", "https://user:hunter2@192.0.2.40"],
    ["rancher.values.extraEnv", [{ name: "PASSWORD", value: 4711815 }]],
    ["rancher.bootstrapPassword", 4711815],
    ["rancher.repositoryOpts.password", 4711815],
    ["rancher.backup.encryptionKey", "hunter2"],
    ["cluster.privateRegistries[0].password", 4711815],
    ["cluster.privateRegistries[0].url", "https://user:hunter2@registry.example.com"],
    ["ssh.privateKey", ["hunter2"]],
    ["privateCa.commonName", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"],
])("a secret in %s is refused without being shown", (path, value) => {
    const lines = refusal(changeAt(validConfiguration(), path, value));
    expect(lines).toHaveLength(1);
    expect(lines.join()).not.toMatch(/hunter2|4711815/);
});
