#!/bin/sh
# /etc/letsencrypt/renewal-hooks/deploy/bridge, mode 0755
# certbot keeps keys where only root reads them, so the bridge has copies, which
# certbot has this renew. The bridge sees that they have changed.
set -eu
name=bridge.example.com # the certificate's name; certbot certificates lists it
to=/etc/bridge
group=bridge

[ "$RENEWED_LINEAGE" = "/etc/letsencrypt/live/$name" ] || exit 0
copy() { # each appears whole; the certificate last, when its key is there
  install -g "$group" -m 0640 "$RENEWED_LINEAGE/$1" "$to/$2.new"
  mv "$to/$2.new" "$to/$2"
}
copy privkey.pem tls.key
copy fullchain.pem tls.crt
