package jetstream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/natstest"
)

// works requires that a store can be opened and used with the options.
func works(t *testing.T, opts Options) {
	t.Helper()
	_, q := bridge(t, opts)
	add(t, q, queue.Receipt{Accepted: 1}, time.Now().String())
	deliver(t, q, fetch(t, q, 1)...)
}

// fails requires that opening fails, and that the error says so.
func fails(t *testing.T, opts Options, says ...string) {
	t.Helper()
	s, err := Open(t.Context(), opts)
	require.Error(t, err)
	require.Nil(t, s)
	_, err = Inspect(t.Context(), opts)
	require.Error(t, err)
	for _, word := range says {
		require.Contains(t, err.Error(), word)
	}
}

func TestPasswordAndToken(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t, func(o *server.Options) { o.Username, o.Password = "bridge", "right" })
	opts := calm(t, srv)
	opts.User, opts.Password = "bridge", "right"
	works(t, opts)
	opts.Password = "wrong"
	fails(t, opts, "user and password", "check both")
	opts.User, opts.Password = "", ""
	fails(t, opts, "wants to know who asks")
	opts.Token = "right"
	fails(t, opts, "token:", "check it")
	opts.User = "bridge"
	fails(t, opts, "only the one")

	srv = natstest.Start(t, func(o *server.Options) { o.Authorization = "secret" })
	opts = calm(t, srv)
	opts.Token = "secret"
	works(t, opts)
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	operator, account := newKey(t, nkeys.CreateOperator), newKey(t, nkeys.CreateAccount)
	claims := jwt.NewAccountClaims(public(t, account))
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: -1, MemoryStorage: -1, Streams: -1, Consumer: -1}
	signed, err := claims.Encode(operator)
	require.NoError(t, err)
	system := newKey(t, nkeys.CreateAccount)
	systemJWT, err := jwt.NewAccountClaims(public(t, system)).Encode(operator)
	require.NoError(t, err)
	srv := natstest.Start(t, func(o *server.Options) {
		trusted := jwt.NewOperatorClaims(public(t, operator))
		trusted.SystemAccount = public(t, system)
		o.TrustedOperators = []*jwt.OperatorClaims{trusted}
		o.SystemAccount = public(t, system)
		resolver := &server.MemAccResolver{}
		require.NoError(t, resolver.Store(public(t, account), signed))
		require.NoError(t, resolver.Store(public(t, system), systemJWT))
		o.AccountResolver = resolver
	})
	opts := calm(t, srv)
	opts.Credentials = credentials(t, account)
	works(t, opts)
	opts.Credentials = credentials(t, newKey(t, nkeys.CreateAccount))
	fails(t, opts, "credentials:", "nsc")
	opts.Credentials = credentials(t, system)
	fails(t, opts, "JetStream is off for the account")
	opts.Credentials = filepath.Join(t.TempDir(), "none.creds")
	fails(t, opts, "credentials:", "cannot be read")
	require.NoError(t, os.WriteFile(opts.Credentials, []byte("nothing"), 0o600))
	fails(t, opts, "credentials:")
}

func newKey(t *testing.T, create func() (nkeys.KeyPair, error)) nkeys.KeyPair {
	k, err := create()
	require.NoError(t, err)
	return k
}

func public(t *testing.T, k nkeys.KeyPair) string {
	p, err := k.PublicKey()
	require.NoError(t, err)
	return p
}

// credentials makes a file for a new user of the account.
func credentials(t *testing.T, account nkeys.KeyPair) string {
	user := newKey(t, nkeys.CreateUser)
	seed, err := user.Seed()
	require.NoError(t, err)
	token, err := jwt.NewUserClaims(public(t, user)).Encode(account)
	require.NoError(t, err)
	content, err := jwt.FormatUserConfig(token, seed)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "user.creds")
	require.NoError(t, os.WriteFile(file, content, 0o600))
	return file
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ca, caKey := certificate(t, nil, nil)
	cert, key := certificate(t, ca, caKey)
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	pair := tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
	secure := func(auth tls.ClientAuthType) func(o *server.Options) {
		return func(o *server.Options) {
			o.TLS, o.TLSTimeout = true, patient.Seconds()
			o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: auth, ClientCAs: roots, MinVersion: tls.VersionTLS12}
		}
	}
	srv := natstest.Start(t, secure(tls.NoClientCert))
	opts := calm(t, srv)
	opts.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	works(t, opts)
	opts.URL = strings.Replace(opts.URL, "nats://", "tls://", 1)
	works(t, opts)
	opts.TLS = nil
	fails(t, opts, "tls:", "CA")

	srv = natstest.Start(t, secure(tls.RequireAndVerifyClientCert))
	opts = calm(t, srv)
	opts.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	fails(t, opts, "tls:", "certificate and key")
	opts.TLS.Certificates = []tls.Certificate{pair}
	works(t, opts)

	srv = natstest.Start(t)
	opts = calm(t, srv)
	opts.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	works(t, opts) // it is only used where the server asks
	opts.URL = strings.Replace(opts.URL, "nats://", "tls://", 1)
	fails(t, opts, "url:", "does not speak TLS")
}

// certificate makes a CA's own certificate, or one that a CA has signed.
func certificate(t *testing.T, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: ca == nil,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ca == nil {
		ca, caKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert, key
}

func TestServersThatWillNotDo(t *testing.T) {
	t.Parallel()
	off := natstest.Start(t, func(o *server.Options) { o.JetStream = false })
	fails(t, calm(t, off), "JetStream is off", "-js")
	small := natstest.Start(t, func(o *server.Options) { o.MaxPayload = 1 << 10 })
	fails(t, calm(t, small), "max_payload")
	opts := calm(t, small)
	const away = "nats://127.0.0.1:1"
	for _, url := range []string{away, "nats://no-such-host.invalid"} {
		opts.URL = url
		fails(t, opts, "url:", "no NATS server answers")
	}
	for version, is := range map[string]bool{"2.11.9": true, "1.99.0": true, "2.12.0": false, "3.0.1": false, "v2.15.2": false, "dev": false} {
		require.Equal(t, is, old(version), version)
	}
	for _, o := range []Options{
		{}, {URL: away, Prefix: "a.b"}, {URL: away, Prefix: "a_"}, {URL: away, Replicas: 6}, {URL: away, AckWait: time.Millisecond}, {URL: away, Repeats: time.Second},
	} {
		_, err := Open(t.Context(), o)
		require.Error(t, err, "%+v", o)
		require.NotContains(t, err.Error(), "url:", "it was asked for: %+v", o)
	}
	srv := natstest.Start(t)
	opts = calm(t, srv)
	opts.Replicas = 3
	_, err := open(t.Context(), opts)
	require.ErrorContains(t, err, "3 replicas")
	got, err := Inspect(t.Context(), calm(t, srv))
	require.NoError(t, err)
	require.Equal(t, Server{Name: "n1", Version: server.VERSION, MaxPayload: 1 << 20, Replicas: 1}, got)
}
