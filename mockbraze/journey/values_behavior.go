package journey

import (
	"strconv"
	"time"

	"github.com/currentsbridge/currentsbridge/mockbraze/population"
)

// behaviorValues are the fields of what people do in the apps.
func behaviorValues() map[string]valueFunc {
	return map[string]valueFunc{
		"name":                oneOf("checkout_started", "checkout_finished", "article_read", "Added to favourites", "level_up", "búsqueda"),
		"custom_properties":   customProperties,
		"purchase_properties": purchaseProperties,
		"product_id":          text(func(m *moment, _ population.Draw) string { return product(m).ID }),
		"currency":            text(func(m *moment, _ population.Draw) string { return m.user.Place.Currency }),
		"price":               price,
		"session_id":          session,
		"duration:number":     decimal(1_000, 3_600_000, 3),
		"source":              oneOf("Organic", "Facebook Ads", "Google Ads", "TikTok", "Apple Search Ads"),
		"latitude": func(dst []byte, m *moment, d population.Draw) []byte {
			return appendFixed(dst, int64(m.user.Place.Lat+d.Between(-80_000, 80_000)), 6)
		},
		"longitude": func(dst []byte, m *moment, d population.Draw) []byte {
			return appendFixed(dst, int64(m.user.Place.Lon+d.Between(-80_000, 80_000)), 6)
		},
		"altitude":     decimal(-50, 22_000, 1),
		"ll_accuracy":  decimal(30, 9_000, 1),
		"alt_accuracy": decimal(30, 900, 1),
	}
}

// product is what a moment is about, where money is spent.
func product(m *moment) *population.Product {
	return &m.pop.Products[m.draw.With(population.Key("product_id")).N(len(m.pop.Products))]
}

// price is in units of the user's currency; yen and won have no hundredths.
func price(dst []byte, m *moment, _ population.Draw) []byte {
	return appendFixed(dst, int64(product(m).Cents), m.user.Place.Decimals)
}

// session is the same for a user's sessions within half an hour.
func session(dst []byte, m *moment, _ population.Draw) []byte {
	d := m.user.Draw("session").With(uint64(m.time / 1800))
	return append(population.AppendUUID(append(dst, '"'), d), '"')
}

// customProperties holds every kind of JSON value, nested, as customers send
// them along with custom events.
func customProperties(dst []byte, m *moment, d population.Draw) []byte {
	item := population.Pick(d, m.pop.Products)
	dst = append(dst, `{"item":`...)
	dst = appendString(dst, item.Name)
	dst = append(dst, `,"category":`...)
	dst = appendString(dst, item.Category)
	dst = append(dst, `,"quantity":`...)
	dst = strconv.AppendInt(dst, int64(d.With(1).Between(1, 5)), 10)
	dst = append(dst, `,"basket_total":`...)
	dst = appendFixed(dst, int64(d.With(2).Between(500, 90_000)), 2)
	dst = append(dst, `,"gift":`...)
	dst = appendBool(dst, d.With(3).Chance(10))
	dst = append(dst, `,"coupon":null,"tags":["sale","näher"],"visited_at":"`...)
	dst = time.Unix(m.time, 0).UTC().AppendFormat(dst, time.RFC3339)
	dst = append(dst, `","store":{"city":`...)
	dst = appendString(dst, m.user.Place.City)
	dst = append(dst, `,"floor":`...)
	dst = strconv.AppendInt(dst, int64(d.With(4).Between(-1, 4)), 10)
	return append(dst, "}}"...)
}

func purchaseProperties(dst []byte, m *moment, d population.Draw) []byte {
	item := product(m)
	dst = append(dst, `{"name":`...)
	dst = appendString(dst, item.Name)
	dst = append(dst, `,"category":`...)
	dst = appendString(dst, item.Category)
	dst = append(dst, `,"colour":`...)
	dst = appendString(dst, []string{"red", "blå", "grün", "黒"}[d.N(4)])
	dst = append(dst, `,"quantity":`...)
	dst = strconv.AppendInt(dst, int64(d.With(1).Between(1, 3)), 10)
	return append(dst, `,"shipping":{"method":"standard","days":[2,3]}}`...)
}

// profileValues are the fields of a change of a profile.
func profileValues() map[string]valueFunc {
	return map[string]valueFunc{
		"archived":          chance(3),
		"custom_attributes": escaped(customAttributes),
		"update_source":     oneOf("REST API", "SDK", "CSV import", "Cloud Data Ingestion"),
		"time_ms": func(dst []byte, m *moment, d population.Draw) []byte {
			return strconv.AppendInt(dst, m.time*1000+int64(d.N(1000)), 10)
		},
	}
}

func customAttributes(dst []byte, m *moment, d population.Draw) []byte {
	dst = append(dst, `{"loyalty_tier":`...)
	dst = appendString(dst, []string{"bronze", "silver", "gold"}[d.N(3)])
	dst = append(dst, `,"favourite_shop":`...)
	dst = appendString(dst, m.user.Place.City)
	dst = append(dst, `,"points":`...)
	return append(strconv.AppendInt(dst, int64(d.With(1).N(5000)), 10), '}')
}
