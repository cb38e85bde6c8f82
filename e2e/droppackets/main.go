//go:build linux

// Command droppackets has the kernel drop one in so many TCP packets that come in
// from or to a port, in the network namespace that it runs in, until SIGTERM. It
// then says how many it dropped. It needs CAP_NET_ADMIN.
//
// It stands for `tc qdisc … netem loss`: many kernels have nf_tables and no netem.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

func main() {
	port := flag.Uint("port", 8090, "the port")
	oneIn := flag.Uint("one-in", 5, "drop one in so many packets")
	flag.Parse()
	if err := run(uint16(*port), uint32(*oneIn)); err != nil {
		fmt.Fprintln(os.Stderr, "droppackets: it takes Linux with nf_tables and CAP_NET_ADMIN:", err)
		os.Exit(1)
	}
}

func run(port uint16, oneIn uint32) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	conn := &nftables.Conn{}
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "droppackets"})
	chain := conn.AddChain(&nftables.Chain{
		Name: "in", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
	})
	for _, offset := range []uint32{0, 2} { // where the ports are in a TCP header: source, destination
		conn.AddRule(drop(table, chain, offset, port, oneIn))
	}
	if err := conn.Flush(); err != nil {
		return err
	}
	fmt.Println("dropping")
	<-stop
	rules, err := conn.GetRules(table, chain)
	if err != nil {
		return err
	}
	sum := uint64(0)
	for _, rule := range rules {
		for _, e := range rule.Exprs {
			if counter, ok := e.(*expr.Counter); ok {
				sum += counter.Packets
			}
		}
	}
	conn.DelTable(table)
	fmt.Println("dropped", sum)
	return conn.Flush()
}

// drop is `tcp PORT port numgen random mod N 0 counter drop`.
func drop(table *nftables.Table, chain *nftables.Chain, offset uint32, port uint16, oneIn uint32) *nftables.Rule {
	return &nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{syscall.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, port)},
		&expr.Numgen{Register: 1, Modulus: oneIn, Type: 1}, // random
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{0, 0, 0, 0}},
		&expr.Counter{},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}}
}
