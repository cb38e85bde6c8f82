package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"strconv"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// firewall has the kernel drop packets of the connections that the proxy
// carries, and of no others, as they come in here: from the clients by the port
// that it listens on, from the targets by theirs. It needs CAP_NET_ADMIN.
//
// It stands for `tc qdisc … netem loss`: many kernels have nf_tables and no
// netem.
type firewall struct {
	listen  uint16
	targets []uint16
	table   *nftables.Table // nil while nothing is dropped
	before  uint64          // dropped by tables that are gone
}

func newFirewall(listen net.Addr, targets []string) *firewall {
	f := &firewall{}
	if tcp, ok := listen.(*net.TCPAddr); ok {
		f.listen = uint16(tcp.Port)
	}
	for _, target := range targets {
		_, text, _ := net.SplitHostPort(target) // it was looked at before
		if port, err := strconv.ParseUint(text, 10, 16); err == nil {
			f.targets = append(f.targets, uint16(port))
		}
	}
	return f
}

// lose drops that share of packets, rounded to one in so many; 0 drops none.
func (f *firewall) lose(share float64) error {
	dropped, err := f.dropped()
	if err != nil {
		return err
	}
	conn := &nftables.Conn{}
	if f.table != nil {
		conn.DelTable(f.table)
		f.table, f.before = nil, dropped
	}
	if share > 0 {
		f.table = conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "netfault"})
		chain := conn.AddChain(&nftables.Chain{
			Name: "in", Table: f.table, Type: nftables.ChainTypeFilter,
			Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
		})
		oneIn := uint32(math.Round(1 / share))
		const source, destination = 0, 2 // where the ports are in a TCP header
		conn.AddRule(f.drop(chain, destination, f.listen, oneIn))
		for _, port := range f.targets {
			conn.AddRule(f.drop(chain, source, port, oneIn))
		}
	}
	if err := conn.Flush(); err != nil {
		f.table = nil
		return fmt.Errorf("loss: it takes Linux with nf_tables and CAP_NET_ADMIN: %w", err)
	}
	return nil
}

// drop is `tcp PORT port numgen random mod N 0 counter drop`.
func (f *firewall) drop(chain *nftables.Chain, offset uint32, port uint16, oneIn uint32) *nftables.Rule {
	return &nftables.Rule{Table: f.table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, port)},
		&expr.Numgen{Register: 1, Modulus: oneIn, Type: unix.NFT_NG_RANDOM},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{0, 0, 0, 0}},
		&expr.Counter{},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}}
}

// dropped is how many packets were dropped so far.
func (f *firewall) dropped() (uint64, error) {
	if f.table == nil {
		return f.before, nil
	}
	rules, err := (&nftables.Conn{}).GetRules(f.table, &nftables.Chain{Name: "in", Table: f.table})
	if err != nil {
		return 0, fmt.Errorf("count what was dropped: %w", err)
	}
	sum := f.before
	for _, rule := range rules {
		for _, e := range rule.Exprs {
			if counter, ok := e.(*expr.Counter); ok {
				sum += counter.Packets
			}
		}
	}
	return sum, nil
}
