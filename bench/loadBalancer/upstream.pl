# This program is a node with long answers. /v3/connect sends 256 MB through an upgraded connection. Other paths send
# the time, every 10 ms for 2 s.
use strict;
use warnings;
use IO::Socket::INET;
use Time::HiRes qw(sleep time);

$SIG{CHLD} = "IGNORE";
my $listener = IO::Socket::INET->new(LocalPort => $ARGV[0], Listen => 64, ReuseAddr => 1) or die "$ARGV[0]: $!";
while (1) {
    my $client = $listener->accept or next;
    next if fork;
    my $asked = <$client>;
    while (my $line = <$client>) { last if $line eq "\r\n" }
    $client->autoflush(1);
    if ($asked =~ m{/v3/connect}) {
        # HAProxy checks the answer to the key, which is the one of RFC 6455.
        my @headers = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        print $client join("\r\n", "HTTP/1.1 101 Switching Protocols", @headers, "", "");
        my $part = "x" x 65536;
        for (1 .. 4096) { print $client $part or last }
    } else {
        print $client "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (1 .. 200) {
            my $event = sprintf "%.6f\n", time;
            printf $client "%x\r\n%s\r\n", length $event, $event;
            sleep 0.01;
        }
        print $client "0\r\n\r\n";
    }
    exit;
}
