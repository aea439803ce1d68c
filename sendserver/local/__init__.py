"""What makes one machine enough: the launcher with its services, and the local world around the portal."""
