// Package currentstest makes bodies for tests and benchmarks of the bridge.
package currentstest

import "fmt"

// EmailOpens returns a body {"events":[…]} of n events of the type
// users.messages.email.Open of about 1 KB each, compact as Braze writes them,
// and the events by themselves. Ids differ, every field of the type is there,
// and the same n gives the same bytes.
func EmailOpens(n int) (body []byte, events [][]byte) {
	body = append(body, `{"events":[`...)
	for i := range n {
		if i > 0 {
			body = append(body, ',')
		}
		start := len(body)
		body = appendEmailOpen(body, i)
		events = append(events, body[start:len(body):len(body)])
	}
	return append(body, `]}`...), events
}

func appendEmailOpen(dst []byte, i int) []byte {
	dst = fmt.Appendf(dst, `{"event_type":"users.messages.email.Open","id":"0b4fe5e2-4a5c-4d0e-9a65-%012x","time":%d,`, i, 1760000000+i*7)
	dst = fmt.Appendf(dst, `"user":{"user_id":"64f0c3a1b2d4e5f6a7%06x","external_user_id":"customer-%d","timezone":"America/New_York"},`, i, 100000+i*31)
	dst = append(dst, `"properties":{"app_group_id":"5d7c4b3e-1f2a-4c6d-8e9f-0a1b2c3d4e5f",`...)
	dst = append(dst, `"campaign_id":"7a1b9c3d-2e4f-4a5b-9c6d-7e8f9a0b1c2d","campaign_name":"Spring sale 2026 – 20% off",`...)
	dst = append(dst, `"message_variation_id":"1c2d3e4f-5a6b-4c7d-8e9f-a0b1c2d3e4f5","message_variation_name":"Variant 1",`...)
	dst = fmt.Appendf(dst, `"dispatch_id":"%024x","send_id":"%024x","email_address":"someone.%d@example.com",`, i*i+1, i/10+1, i)
	dst = append(dst, `"device_class":"mobile","device_model":"iPhone 15 Pro","device_os":"iOS","browser":"Mobile Safari",`...)
	dst = append(dst, `"user_agent":"Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)",`...)
	dst = append(dst, `"esp":"SendGrid","from_domain":"mail.example.com","ip_pool":"marketing","mailbox_provider":"gmail",`...)
	dst = append(dst, `"is_amp":false,"machine_open":"true","canvas_id":null,"canvas_name":null}}`...)
	return dst
}
