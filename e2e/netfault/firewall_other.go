//go:build !linux

package main

import (
	"errors"
	"net"
)

// firewall needs Linux; elsewhere netfault does everything but lose packets.
type firewall struct{}

func newFirewall(net.Addr, []string) *firewall { return &firewall{} }

func (*firewall) lose(share float64) error {
	if share == 0 {
		return nil
	}
	return errors.New("loss: it takes Linux with nf_tables and CAP_NET_ADMIN")
}

func (*firewall) dropped() (uint64, error) { return 0, nil }
