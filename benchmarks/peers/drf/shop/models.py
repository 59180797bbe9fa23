"""The models."""

from django.db import models


class Customer(models.Model):
    name = models.CharField(max_length=100)
    email = models.CharField(max_length=100)

    class Meta:
        db_table = "customers"

    class JSONAPIMeta:
        resource_name = "customer"


class Computer(models.Model):
    serial = models.CharField(max_length=100)
    owner = models.ForeignKey(Customer, null=True, on_delete=models.CASCADE, related_name="computers")

    class Meta:
        db_table = "computers"

    class JSONAPIMeta:
        resource_name = "computer"
