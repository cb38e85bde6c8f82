package jetstream

import (
	"crypto/tls"
	"log/slog"
	"time"
)

// Options configure a store. Only URL must be set.
type Options struct {
	// URL names the servers: nats://HOST:PORT or tls://HOST:PORT, several with
	// commas between them.
	URL string
	// Credentials is a file made by nsc with a JWT and a key; empty: none.
	Credentials string
	// User and Password, or Token, are what the server asks for; empty: nothing.
	User, Password, Token string
	// TLS is used where a server asks for TLS or URL says tls; nil: the system's roots.
	TLS *tls.Config

	// Prefix begins the names of all streams and subjects, so that several
	// bridges can share a cluster without sharing queues; empty: currents.
	Prefix string
	// Replicas is how many servers keep each stream, 1 to 5; 0: three where the
	// server belongs to a cluster, one where it stands alone.
	Replicas int
	// RetainAge is how long events stay as history; 0: not at all.
	RetainAge time.Duration
	// RetainBytes is how much history each connector keeps at most; 0: as much as RetainAge says.
	RetainBytes int64
	// MaxBytes is how much the pending events of one connector may take; 0: as much as the account allows.
	MaxBytes int64
	// Repeats is the stream's duplicate window; 0: two minutes, the server's own.
	Repeats time.Duration
	// AckWait is the time after which another bridge takes over what a dead one held; 0: ten seconds.
	AckWait time.Duration
	// InFlight is how many records one bridge holds at most; 0: a thousand.
	InFlight int

	// Logger gets what an operator should know; nil: nothing is logged.
	Logger *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time

	every    time.Duration // between two looks at what can be given up; tests make it small
	patience time.Duration // with servers that do not answer; tests make it small
}

// Server is what Inspect saw.
type Server struct {
	Name, Version string
	Cluster       string // empty: it stands alone
	// Nodes is how many servers the cluster has at most: each may have several
	// addresses. 0: it does not say. Only Inspect asks.
	Nodes      int
	MaxPayload int64 // bytes of one message
	// Replicas is how many servers will keep each stream with these Options.
	Replicas int
}
