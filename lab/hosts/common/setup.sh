#!/bin/sh
# Runs once inside the root file system of a lab host while its image is built.
set -eu
kind=$1
systemctl disable apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer 2>/dev/null || true
systemctl mask systemd-udevd.service systemd-udev-trigger.service systemd-networkd-wait-online.service \
    getty.target console-getty.service 2>/dev/null || true

# As in Debian's images for containers: no translations, and no wait for the disk after each file.
echo 'Acquire::Languages "none";' >/etc/apt/apt.conf.d/no-languages
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/unsafe-io

# Every host makes its own host keys at its first boot.
rm -f /etc/ssh/ssh_host_*
install -D -m 644 /opt/common/host-keys.conf /etc/systemd/system/ssh.service.d/host-keys.conf
install -m 644 /opt/common/lab-routes.service /etc/systemd/system/lab-routes.service
install -m 755 /opt/common/lab-routes /usr/local/sbin/lab-routes
echo "$kind" >/etc/lab-host-kind
systemctl enable ssh.service lab-routes.service

if [ "$kind" = node ]; then
    rm -rf /var/lib/docker/*
    install -m 755 /opt/node/runc-lab /usr/local/bin/runc-lab
    install -D -m 644 /opt/node/daemon.json /etc/docker/daemon.json
    install -D -m 644 /opt/node/shared-mounts.conf /etc/systemd/system/docker.service.d/shared-mounts.conf
    useradd --create-home --shell /bin/bash --groups docker rke
    usermod --password '*' rke # sshd refuses every login to a locked account, and an account without a password is locked
fi
if [ "$kind" = lb-newer ]; then
    sed -n 's/ [a-z]* main$/ testing main/p' /etc/apt/sources.list | head -n 1 >/etc/apt/sources.list.d/testing.list
    install -m 644 /opt/newer/testing.pref /etc/apt/preferences.d/
    install -m 644 /opt/newer/testing.conf /etc/apt/apt.conf.d/
    # The NGINX of testing needs this library from testing. If only the installation of NGINX upgraded the library, the removal of NGINX
    # would leave a changed host.
    apt-get -q update
    apt-get -q -y --no-install-recommends install libpcre2-8-0
fi
apt-get -q clean
# The image holds the lists of packages, and the packages that every load balancer host installs. apt still runs, and downloads only newer
# ones.
if [ "$kind" = node ]; then
    rm -rf /var/lib/apt/lists/*
else
    apt-get -q update
    apt-get -q -y --no-install-recommends --download-only install nginx libnginx-mod-stream keepalived logrotate
fi
rm -rf /opt/common /opt/node /opt/newer
