package pebble
const repairPlan = "repair.plan"
